"""What people write in Slack is shown as Slack shows it, and never does anything."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.playground.page import mrkdwn
from tests.page.allowed_html import HOSTILE, NAMES, check, shown, values

steady = settings(deadline=None, derandomize=True, database=None, max_examples=200)


def render(text: str) -> str:
    html = mrkdwn.render(text, names=NAMES)
    check(html)
    return html


@pytest.mark.parametrize(
    ("wire", "html"),
    [
        ("*a* _b_ ~c~", "<strong>a</strong> <em>b</em> <s>c</s>"),
        ("*_both_* and _*both*_", "<strong><em>both</em></strong> and "
         "<em><strong>both</strong></em>"),
        ("2*3*4 snake_case_name * a * **b**", "2*3*4 snake_case_name * a * **b**"),
        ("*two\nlines*", "*two<br>lines*"),
        ("`*code*` &amp; `a&lt;b`", "<code>*code*</code> &amp; <code>a&lt;b</code>"),
        ("see ```a\n  *b*``` end", "see <pre><code>a\n  *b*</code></pre>end"),
        ("```\na\n```\nend", "<pre><code>a</code></pre>end"),
        ("```never closed", "```never closed"),
        ("a\n&gt; b\n&gt;c\nd", "a<blockquote>b<br>c</blockquote>d"),
        ("a\n&gt;&gt;&gt; b\nc", "a<blockquote>b<br>c</blockquote>"),
        ("• one\n• two", "• one<br>• two"),
        ("*<https://a.example|so>*", '<strong><a href="https://a.example" '
         'rel="noopener noreferrer nofollow" target="_blank">so</a></strong>'),
        (":tada: :unknown: `:tada:`", "🎉 :unknown: <code>:tada:</code>"),
    ],
)  # fmt: skip
def test_each_mark_has_its_looks(wire: str, html: str) -> None:
    assert render(wire) == html


@pytest.mark.parametrize(
    ("wire", "reads"),
    [
        ("<@U0ANA>, <@U0ANA|old-name>", "@Ana, @Ana"),
        ("<@U404> <@U404|guest>", "@U404 @guest"),
        ("<#C0GENERAL> <#C9|other>", "#general #other"),
        ("<!here> <!channel|channel> <!everyone>", "@here @channel @everyone"),
        ("<!subteam^S1|@team> <!subteam^S1>", "@team @S1"),
        ("<!date^1392734382^{date} at {time}|Feb 18>", "Feb 18"),
        ("<https://a.example/?x=1&amp;y=2>", "https://a.example/?x=1&y=2"),
        ("<mailto:a@b.example|a@b.example> <mailto:a@b.example>", "a@b.example a@b.example"),
        ("&lt;b&gt; &amp;amp; &quot;", "<b> &amp; &quot;"),
        ("`<@U0ANA> &lt;`", "@Ana <"),
        ("<javascript:alert(1)|click>", "<javascript:alert(1)|click>"),
    ],
)
def test_links_and_mentions_read_as_in_slack(wire: str, reads: str) -> None:
    assert shown(render(wire)) == reads


def test_a_mention_says_whom_it_means() -> None:
    html = render("<@U0ANA> <#C0GENERAL> <!here>")

    assert values(html, "data-user") == ["U0ANA"]
    assert values(html, "data-channel") == ["C0GENERAL"]
    assert values(html, "class") == ["mention", "channel-link", "mention broadcast"]


def test_a_label_that_looks_like_another_address_is_followed_by_the_true_host() -> None:
    html = render("<https://evil.example|https://good.example> <https://a.example|a.example>")

    assert shown(html) == "https://good.example (evil.example) a.example"


def test_plain_text_has_no_marks_but_emoji_and_lines() -> None:
    assert mrkdwn.plain("*a* <@U0ANA> :tada:\n&lt;") == "*a* &lt;@U0ANA&gt; 🎉<br>&amp;lt;"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_that_is_written_can_run(hostile: str) -> None:
    for around in ("{}", "&gt; {}", "*{}*", "`{}`", "```{}```", "<https://a.example|{}>", "<{}>"):
        render(around.replace("{}", hostile))
        check(mrkdwn.plain(hostile))


@pytest.mark.parametrize(
    "text",
    [
        *("*" + "`a`" * 24, "*" + "<a>" * 24, "_`a` " * 8_000, "*" + "<a>" * 13_000),
        *("*_~" * 13_000, "*`_" * 13_000, "`" * 40_000, "<" * 40_000, "*a " * 13_000),
    ],
)
def test_marks_without_an_end_take_no_time(text: str) -> None:
    start = time.monotonic()
    render(text)

    assert time.monotonic() - start < 3.0  # it is a tenth of this; it was more than one lives


def test_every_beginning_of_a_message_can_be_shown() -> None:
    text = (
        "*a _b_* <@U0ANA|x> `c` ```d\n*e*``` <https://a.example|l> &lt;\n&gt; f\n&gt;&gt;&gt;g ~h~"
    )

    for end in range(len(text) + 1):
        render(text[:end])


PIECES = st.sampled_from(
    [
        *"*_~`<>|&'x \n",
        *("```", "&gt;", "&lt;", "\n&gt;", "@U1", "#C1", "!here", "!date^1^x", '"', ":tada:"),
        *("https://a.example", "javascript:x"),
    ]
)


@steady
@given(st.text() | st.lists(PIECES, max_size=40).map("".join))
def test_any_text_can_be_shown(text: str) -> None:
    render(text)
    check(mrkdwn.plain(text))
