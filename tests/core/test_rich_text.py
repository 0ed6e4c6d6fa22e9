"""Slack's rich_text blocks reach the model as Markdown."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.rich_text import from_rich_text

steady = settings(deadline=None, derandomize=True, database=None, max_examples=150)

Element = dict[str, Any]


def text(words: str, **style: bool) -> Element:
    return {"type": "text", "text": words, "style": style} if style else _of("text", text=words)


def _of(kind: str, **fields: object) -> Element:
    return {"type": kind, **fields}


def section(*elements: Element) -> Element:
    return _of("rich_text_section", elements=list(elements))


def items(*words: str, **fields: object) -> Element:
    return _of("rich_text_list", elements=[section(text(word)) for word in words], **fields)


def read(*blocks: Element) -> str:
    return from_rich_text(_of("rich_text", block_id="b", elements=list(blocks)))


def test_styles_become_marks() -> None:
    block = section(
        text("plain "),
        text("bold", bold=True),
        text(" and ", bold=True),
        text("more", bold=True),
        text(" "),
        text("x", bold=True, italic=True, strike=True),
        text(" "),
        text("code", code=True),
        text("no", bold=False),
    )

    assert read(block) == "plain **bold and more** ***~~x~~*** `code`no"


def test_white_space_stays_outside_of_marks() -> None:
    assert read(section(text("a "), text(" b \n\nc", bold=True))) == "a  **b** \n\n**c**"


def test_code_with_backticks_is_marked_with_more_of_them() -> None:
    assert read(section(text("a`b", code=True))) == "``a`b``"
    assert read(section(text("`", code=True))) == "`` ` ``"


@pytest.mark.parametrize(
    ("element", "shown"),
    [
        (_of("link", url="https://a.b"), "https://a.b"),
        (_of("link", url="https://a.b", text="https://a.b"), "https://a.b"),
        (_of("link", url="https://a.b", text="see"), "[see](https://a.b)"),
        (
            _of("link", url="https://a.b", text="see", style={"bold": True}),
            "**[see](https://a.b)**",
        ),
        (_of("link", url="https://a.b", text="f", style={"code": True}), "[`f`](https://a.b)"),
        (_of("link", url="mailto:a@b.c", text="a@b.c"), "a@b.c"),
        (_of("emoji", name="wave"), ":wave:"),
        (_of("emoji", name="+1", unicode="1f44d-1f3fd"), "\U0001f44d\U0001f3fd"),
        (_of("emoji", name="odd", unicode="d800"), ":odd:"),
        (_of("emoji", name="odd", unicode="fffffffff"), ":odd:"),
        (_of("user", user_id="U1"), "@U1"),
        (_of("usergroup", usergroup_id="S1"), "@S1"),
        (_of("channel", channel_id="C1"), "#C1"),
        (_of("broadcast", range="here"), "@here"),
        (_of("date", timestamp=1, format="{date}", fallback="1 Jan"), "1 Jan"),
        (_of("color", value="#ff0000"), "#ff0000"),
        (_of("new", text="kept"), "kept"),
        (_of("new"), ""),
    ],
)
def test_elements_are_shown_as_in_slack(element: Element, shown: str) -> None:
    assert read(section(element)) == shown


def test_lists_are_nested_by_their_indent() -> None:
    shown = read(
        section(text("Do:\n")),
        items("one", "two", style="ordered", indent=0),
        items("a", "b", style="bullet", indent=1),
        items("three", style="ordered", indent=0, offset=2),
    )

    assert shown == "Do:\n\n1. one\n2. two\n    - a\n    - b\n3. three"


def test_an_item_of_several_lines_is_indented() -> None:
    assert read(items("one\n\ntwo", style="bullet")) == "- one\n\n  two"


def test_preformatted_text_becomes_a_fence() -> None:
    code = [text("if a:\n    ```\n"), _of("link", url="https://a.b")]

    shown = read(_of("rich_text_preformatted", elements=code, language="python"))

    assert shown == "````python\nif a:\n    ```\nhttps://a.b\n````"


def test_quotes_are_marked_on_each_line() -> None:
    assert read(_of("rich_text_quote", elements=[text("a\n\nb")])) == "> a\n>\n> b"


def test_blocks_are_separated_by_a_blank_line() -> None:
    assert read(section(text("a\n")), section(), section(text("b"))) == "a\n\nb"


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"type": "rich_text"},
        {"type": "rich_text", "elements": None},
        {"type": "rich_text", "elements": [None, 1, "x", [], {}, {"type": []}]},
        {"type": "rich_text", "elements": [{"type": "rich_text_list", "indent": "x"}]},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": {"a": 1}}]},
        {"type": "rich_text", "elements": [section({"type": "text", "text": 1, "style": "bold"})]},
    ],
)
def test_what_is_malformed_is_left_out(block: Element) -> None:
    assert from_rich_text(block) == ""


def test_absurd_nesting_is_cut_off() -> None:
    block: Element = section(text("deep"))
    for _ in range(5000):
        block = _of("rich_text_list", elements=[block], indent=10**9, offset=10**9)

    assert len(from_rich_text(block)) < 10_000


blocks = ("section", "list", "preformatted", "quote", "?")
kinds = st.sampled_from(
    ["rich_text", *map("rich_text_{}".format, blocks), "text", "link", "emoji", "user", "?"]
)
fields = st.sampled_from(
    ["text", "url", "style", "indent", "offset", "language", "name", "unicode"]
)
values = st.none() | st.integers() | st.text(max_size=5) | st.just({"bold": True, "code": True})
elements = st.recursive(
    st.builds(lambda kind, extra: {**extra, "type": kind}, kinds, st.dictionaries(fields, values)),
    lambda inner: st.builds(
        lambda kind, children: {"type": kind, "elements": children}, kinds, st.lists(inner)
    ),
    max_leaves=8,
)


@steady
@given(elements)
def test_any_block_is_read(block: Element) -> None:
    assert isinstance(from_rich_text(block), str)
