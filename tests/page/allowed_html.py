"""What the page's HTML may consist of, as a browser's parser would see it."""

import re
from collections import Counter
from html.parser import HTMLParser

from bot.playground.page.names import Names

NAMES = Names(
    people={"U0ANA": "Ana", "U0EVE": "\"><img src=x onerror=alert(1)> '<b>"},
    channels={"C0GENERAL": "general", "C0EVE": '" onclick="alert(1)'},
)

TAGS = re.compile(
    "a|blockquote|br|button|code|details|div|em|fieldset|h[1-6]|hr|input|label|legend|li|ol"
    "|optgroup|option|p|pre|s|select|span|strong|summary|table|tbody|td|textarea|th|thead|tr|u|ul"
)
ATTRIBUTES = re.compile(
    "aria-(label|level)|data-(action|block|channel|confirm|dispatch|selected|type|user|value)"
    "|data-visible-to|checked|class|dir|disabled|href|label|max|maxlength|min|minlength|multiple|name"
    "|placeholder|rel|required|role|rows|selected|start|step|target|title|type|value"
)
_VOID = {"br", "hr", "input"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert TAGS.fullmatch(tag)
        names = [name for name, _ in attrs]
        assert all(map(ATTRIBUTES.fullmatch, names))
        assert len(set(names)) == len(names)
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("a processing instruction")


def _parsed(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def check(html: str) -> None:
    """Fails unless ``html`` is well nested and holds nothing that could run or load."""
    reader = _parsed(html)
    assert reader.open == []
    html.encode()
    for href in values(html, "href"):
        assert re.fullmatch(r"https?://[!-~]+|mailto:[!-~]+", href)


def values(html: str, attribute: str) -> list[str]:
    """The values of one attribute, in order."""
    return [value for name, value in _parsed(html).attributes if name == attribute]


def shown(html: str) -> str:
    """What a person reads."""
    return "".join(_parsed(html.replace("<br>", "\n")).words)


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<style>*{display:none}</style>",
    '<p style="position:fixed">x</p>',
    '<a href="javascript:alert(1)">x</a>',
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content=0;url=https://evil.example>",
    "<form action=https://evil.example><input name=x></form>",
    "<!-- --><![CDATA[x]]><?php x ?><!DOCTYPE x>",
    "</div></pre></textarea></select></title><script>alert(1)</script>",
    "<math><mtext></math><img src onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](java&#x0A;script:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](<java script:alert(1)>)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](data:image/png;base64,AAAA)",
    "[x](vbscript:msgbox)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example)",
    "[x](https:evil.example)",
    "[x](https:///evil.example)",
    "[x](/relative) [y](?q) [z](#id)",
    '[x](https://a.example "onclick=alert(1)")',
    '[x](https://a.example/"onmouseover="alert(1))',
    "[x](https://a.example/'><script>alert(1)</script>)",
    "[x]: javascript:alert(1)\n\n[x]",
    "![x](javascript:alert(1))",
    '![" onerror="alert(1)](https://a.example/"x.png)',
    "[![x](https://a.example/p.png)](javascript:alert(1))",
    "<javascript:alert(1)>",
    "<javascript:alert(1)|label>",
    "<data:text/html,x|label>",
    '<https://a.example/"><script>|label>',
    "<https://a.example|<script>alert(1)</script>>",
    "<@U0EVE> <@U0EVE|x> <#C0EVE> <#C0EVE|\">",
    "<@\"onclick=alert(1)> <@U1|\"><script>>",
    "<!date^1^{date}^javascript:alert(1)|\"><b>>",
    "<!here onclick=alert(1)> <!subteam^S1|@<b>>",
    '```"><script>alert(1)</script>\nx\n```',
    "```py\" onclick=\"alert(1)\n</code></pre><script>alert(1)</script>\n```",
    "```html\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "|<script>|\"onclick=|\n|:-:|---:|\n|</table><script>|[x](javascript:x)|",
    "# </h1><script>alert(1)</script> {onclick=alert(1)}",
    "- [x] <script>\n- [ ] <img src=x onerror=alert(1)>",
    "https://a.example/<script>alert(1)</script>",
    'https://a.example/"onmouseover=alert(1)//',
    "[https://good.example](https://\u202eelpmaxe.live)",
    "\u202e\u2066txt.exe\u2069",
    "[x](https://[::1)",
    "[x](https://[evil]/)",
    "\0<script\0>\ud800",
    "&lt;script&gt;alert(1)&lt;/script&gt; &amp;lt;b&amp;gt;",
)  # fmt: skip
