"""What a model writes in Markdown is shown as Markdown, and never does anything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.playground.page import markdown
from tests.page.allowed_html import HOSTILE, NAMES, check, shown, values

steady = settings(deadline=None, derandomize=True, database=None, max_examples=200)

ANSWER = """\
# A heading with `code`

Some **bold _and italic_** words, ~~not these~~, a [link](https://a.example/x_(y)) and
https://b.example/?q=1&r=2 for <@U0ANA> in <#C0GENERAL> :tada:

1. one
   - [x] done
   - [ ] open
2. two

> quoted
> > twice

| name | size |
|:-----|-----:|
| a | **1** |
| b | `2` |

```python
def answer(question: str) -> str:
    return f"<b>{question}</b>"
```

![a chart](https://c.example/chart.png)

---
The end[^1].
"""


def render(text: str) -> str:
    html = markdown.render(text, names=NAMES)
    check(html)
    prefix, suffix = '<div class="markdown">', "</div>"
    assert html.startswith(prefix)
    assert html.endswith(suffix)
    return html[len(prefix) : -len(suffix)]


@pytest.mark.parametrize(
    ("written", "html"),
    [
        ("**a** _b_ ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
        ("## a", "<h2>a</h2>"),
        ("a\nb", "<p>a<br>b</p>"),
        ("> a", "<blockquote><p>a</p></blockquote>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("---", "<hr>"),
    ],
)
def test_each_mark_has_its_looks(written: str, html: str) -> None:
    assert render(written) == html


def test_a_table_aligns_its_columns_without_a_style_attribute() -> None:
    html = render("|a|b|c|d|\n|---|:-|:-:|-:|\n|1|2|3|4|")

    assert html.startswith('<div class="table"><table><thead><tr><th>a</th>')
    sides = ["align-left", "align-center", "align-right"]
    assert values(html, "class") == ["table", *sides, *sides]


def test_tasks_show_whether_they_are_done() -> None:
    assert shown(render("- [x] bread\n- [ ] milk")) == "☑ bread☐ milk"


def test_a_mention_is_the_name_that_people_know() -> None:
    html = render("<@U0ANA> <@U9|old> <#C0GENERAL> <!here>")

    assert shown(html) == "@Ana @old #general @here"
    assert values(html, "data-user") == ["U0ANA", "U9"]
    assert values(html, "data-channel") == ["C0GENERAL"]


def test_emoji_are_spelled_out_but_not_in_code() -> None:
    assert shown(render(":tada: :nobody-knows: 10:30:45 `:tada:`")) == (
        "🎉 :nobody-knows: 10:30:45 :tada:"
    )


def test_a_mention_in_code_stays_as_it_is_written() -> None:
    assert shown(render("`<@U0ANA>`")) == "<@U0ANA>"


def test_a_bare_address_is_a_link_and_a_file_name_is_not() -> None:
    html = render("See https://a.example/x?y=1&z=2, then main.py and README.md.")

    assert values(html, "href") == ["https://a.example/x?y=1&z=2"]


def test_a_link_opens_elsewhere_and_tells_nothing() -> None:
    html = render("[see](https://a.example)")

    assert values(html, "rel") == ["noopener noreferrer nofollow"]
    assert values(html, "target") == ["_blank"]
    assert shown(html) == "see"


@pytest.mark.parametrize(
    "label",
    [
        "https://good.example/login",
        "good.example",
        "**good**.example",
        "go to www.good.example now",
        "GOOD.EXAMPLE",
        "good．example",
        "good。example",
        "10.0.0.1",
        "//localhost",
        "good\u200b.example",
        "\u202egood",
        "good.\u034fexample",
        "good.\ufe0fexample",
        "good.\u200dexample",
    ],
)
def test_a_label_that_looks_like_another_address_is_followed_by_the_true_host(label: str) -> None:
    html = render(f"[{label}](https://evil.example/good.example)")

    assert shown(html).endswith(" (evil.example)")
    assert "true-host" in values(html, "class")


@pytest.mark.parametrize(
    "label",
    [
        "the manual",
        "evil.example",
        "https://www.evil.example/a",
        "Python 3.11",
        "e.g. so",
        "❤️ 👩‍💻 docs",
    ],
)
def test_a_label_that_misleads_nobody_stands_alone(label: str) -> None:
    assert "true-host" not in values(render(f"[{label}](https://evil.example/a)"), "class")


def test_a_host_before_an_at_sign_is_none() -> None:
    assert shown(render("https://good.example@evil.example/")).endswith(" (evil.example)")


def test_an_at_sign_after_the_host_misleads_nobody() -> None:
    assert "true-host" not in values(render("[so](https://a.example?b=c@d)"), "class")


def test_letters_of_another_alphabet_show_what_they_are_in_an_address() -> None:
    assert shown(render("https://аррӏе.com/")).endswith(" (xn--80ak6aa92e.com)")


def test_an_image_is_never_loaded() -> None:
    html = render("![a chart](https://a.example/c.png)")

    assert shown(html) == "Image: a chart (https://a.example/c.png)"
    assert values(html, "class") == ["image"]


def test_html_is_shown_as_text() -> None:
    written = "<b>bold</b> <script>alert(1)</script>"

    assert shown(render(written)) == written


def test_a_link_that_could_do_something_is_shown_as_text() -> None:
    assert shown(render("[x](javascript:alert(1))")) == "[x](javascript:alert(1))"


def test_code_has_colours_where_its_language_is_known() -> None:
    known = render("```python\ndef f(): ...\n```")
    unknown = render("```klingon\ndef f(): ...\n```")

    assert values(known, "class")[:2] == ["highlight", "k"]
    assert unknown == '<pre><code class="highlight">def f(): ...\n</code></pre>'
    assert shown(known) == shown(unknown)


def test_the_last_line_of_a_console_is_shown() -> None:
    assert shown(render("```console\n$ ls\nfile.txt\n```")) == "$ ls\nfile.txt\n"


def test_a_fence_that_is_still_open_is_code_already() -> None:
    assert shown(render("So:\n```python\nprint('a')\n# mo\n")) == "So:print('a')\n# mo\n"


@pytest.mark.parametrize("language", ["html", "php", "jinja", "raw", "output", "ansi", "console"])
def test_no_language_gives_anything_but_the_same_text_in_colours(language: str) -> None:
    for hostile in HOSTILE:
        lines = hostile.replace("```", "").replace("\0", "?").replace("\ud800", "?")
        assert shown(render(f"```{language}\n{lines}\n```")) == shown(render(f"```\n{lines}\n```"))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_that_is_written_can_run(hostile: str) -> None:
    for around in ("{}", "> {}", "- {}", "# {}", "**{}**", "[{}](https://a.example)", "a\n\n{}\n"):
        render(around.replace("{}", hostile))


def test_every_beginning_of_an_answer_can_be_shown() -> None:
    for end in range(len(ANSWER) + 1):
        render(ANSWER[:end])


@steady
@given(st.text())
def test_any_text_can_be_shown(text: str) -> None:
    render(text)


PIECES = st.sampled_from(
    [
        *"[]()<>`|*_!#'x \n",
        *("](", "```", "|-", "~~", "\n\n", "> ", "- ", '"', "<@U0EVE>", ":tada:"),
        *("https://a.example", "javascript:", "&#106;"),
    ]
)


@steady
@given(st.lists(PIECES, max_size=40))
def test_any_heap_of_marks_can_be_shown(pieces: list[str]) -> None:
    render("".join(pieces))
