"""What people wrote in Slack reaches the model as plain Markdown."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.mrkdwn import from_mrkdwn, mentioned

steady = settings(deadline=None, derandomize=True, database=None, max_examples=200)

NAMES = {"U123": "Ana", "W9": "Ben"}


def read(text: str) -> str:
    return from_mrkdwn(text, names=NAMES)


@pytest.mark.parametrize(
    ("wire", "read_as"),
    [
        ("<@U123>, <@U123|old-name>", "@Ana, @Ana"),
        ("<@U404> <@U404|guest>", "@U404 @guest"),
        ("<#C123|general> <#C123> <#C123|>", "#general #C123 #C123"),
        ("<!subteam^S1|@team> <!subteam^S1>", "@team @S1"),
        ("<!here> <!channel|channel> <!everyone|@everyone>", "@here @channel @everyone"),
        ("<!date^1392734382^{date} at {time}|Feb 18>", "Feb 18"),
        ("<!unknown>", "<!unknown>"),
        ("<https://a.b/c>", "https://a.b/c"),
        ("<https://a.b/c|https://a.b/c>", "https://a.b/c"),
        ("<https://a.b/?x=1&amp;y=2|see>", "[see](https://a.b/?x=1&y=2)"),
        ("<https://a.b|[1] see>", r"[\[1\] see](https://a.b)"),
        ("<mailto:a@b.c|a@b.c>", "a@b.c"),
        ("<mailto:a@b.c|Ana>", "[Ana](mailto:a@b.c)"),
        ("<tel:+491|+491>", "+491"),
        ("<no-url> <> < <|x> <@> <<@U123>", "<no-url> <> < <|x> @ <@Ana"),
    ],
)
def test_links_and_mentions_are_spelled_out(wire: str, read_as: str) -> None:
    assert read(wire) == read_as


@pytest.mark.parametrize(
    ("wire", "read_as"),
    [
        ("*bold* _italic_ ~strike~", "**bold** _italic_ ~~strike~~"),
        ("(*a*), *b*! &gt;*c*", "(**a**), **b**! >**c**"),
        ("_*both*_ *_both_* ~*both*~", "_**both**_ **_both_** ~~**both**~~"),
        ("*<https://a.b|see *this*>*", "**[see *this*](https://a.b)**"),
        ("*see `a*b` now*", "**see `a*b` now**"),
        ("2*3*4 a*b* *c*d", "2*3*4 a*b* *c*d"),
        ("* item *\n*two\nlines*", "* item *\n*two\nlines*"),
        ("**markdown** ~~already~~", "**markdown** ~~already~~"),
        ("~/a and ~/b", "~/a and ~/b"),
    ],
)
def test_bold_and_strike_become_markdown(wire: str, read_as: str) -> None:
    assert read(wire) == read_as


@pytest.mark.parametrize(
    ("wire", "read_as"),
    [
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("&amp;lt; &amp;amp;lt;", "&lt; &amp;lt;"),
        ("&quot; &nbsp;", "&quot; &nbsp;"),
        ("&lt;@U123&gt;", "<@U123>"),
        ("`&amp;lt;`", "`&lt;`"),
    ],
)
def test_entities_are_unescaped_once(wire: str, read_as: str) -> None:
    assert read(wire) == read_as


@pytest.mark.parametrize(
    ("wire", "read_as"),
    [
        ("`*a* ~b~ &lt;c&gt;`", "`*a* ~b~ <c>`"),
        ("`<@U123> <https://a.b|a.b>`", "`@Ana a.b`"),
        ("```*a* &lt;c&gt;\n<https://a.b>```", "```\n*a* <c>\nhttps://a.b\n```"),
        ("`not closed *b*", "`not closed **b**"),
    ],
)
def test_code_keeps_its_characters(wire: str, read_as: str) -> None:
    assert read(wire) == read_as


@pytest.mark.parametrize(
    ("wire", "read_as"),
    [
        ("```one line```", "```\none line\n```"),
        ("see ```a\nb``` *so*", "see\n```\na\nb\n```\n**so**"),
        ("```a``` ```b```", "```\na\n```\n```\nb\n```"),
        ("```\na\n```\nb", "```\na\n```\nb"),
        ("```python\na\n```", "```python\na\n```"),
        ("```first\nsecond```", "```\nfirst\nsecond\n```"),
        ("```x = 1\ny = 2\n```", "```\nx = 1\ny = 2\n```"),
        ("1. a\n   ```sh\n   b\n   ```\n2. c", "1. a\n   ```sh\n   b\n   ```\n2. c"),
        ("&gt; ```\n&gt; a\n&gt; ```", "> ```\n> a\n> ```"),
        ("````md\n```\na\n```\n````", "````md\n```\na\n```\n````"),
        ("```not closed *b*", "```not closed **b**"),
        ("``````", "``````"),
    ],
)
def test_fences_stand_on_lines_of_their_own(wire: str, read_as: str) -> None:
    assert read(wire) == read_as


def test_the_people_mentioned_are_found() -> None:
    text = "<@U123> <@W9|ben> `<@U5>` &lt;@U6&gt; <#C1> <!here> <@> <@U 7> @U8"

    assert mentioned(text) == {"U123", "W9", "U5"}


marks = st.sampled_from(
    [*"<>|*_~`a^", "```", "@U123", "#C1", "!here", "!date^1", "https://a", "mailto:a"]
) | st.sampled_from(["&amp;", "&lt;", "&gt;"])
gaps = st.sampled_from([" ", "\n", "\r", "\0"])


@steady
@given(st.lists(marks | gaps, max_size=30).map("".join) | st.text())
def test_any_text_is_read(text: str) -> None:
    assert isinstance(read(text), str)


@steady
@given(st.text("abc*~_` <>&;\n", max_size=60))
def test_escaped_text_without_marks_comes_back_as_it_was_typed(text: str) -> None:
    plain = text.translate({ord(mark): None for mark in "*~`"})
    wire = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert read(wire) == plain


@pytest.mark.parametrize(
    "mark", ["<", "<a", "*", "*a ", "~", "`", "`` ", "``` ", "````` ```` ``` ", "&amp;", "> ", " "]
)
def test_long_runs_of_marks_take_no_time(mark: str) -> None:
    text = (mark * 40_000)[:40_000]
    started = time.process_time()

    read(text)

    assert time.process_time() - started < 1.0  # seconds; quadratic time would be minutes
