"""A long answer in parts: each complete, within the limit, and one answer again when joined."""

import re
from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cut import close, cut, join, rest_after, until_seam
from bot.lines import open_fence

steady = settings(deadline=None, derandomize=True, database=None, max_examples=50)

# --- documents as models write them ----------------------------------------------------------

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
EMOJI = (FAMILY, "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3")
WORDS = ("a", "word", "longer", "naïve", "e\u0301", "`x|y`", "**b**", "end.", "漢字", *EMOJI)
limits = st.integers(200, 500)


def words(most: int) -> st.SearchStrategy[str]:
    return st.builds(
        lambda first, count: " ".join(islice(cycle(WORDS), first, first + count)),
        st.integers(0, len(WORDS) - 1),
        st.integers(1, most),
    )


def lines(line: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    return st.lists(line, min_size=1, max_size=most).map("\n".join)


@st.composite
def lists(draw: st.DrawFn) -> str:
    ordered = draw(st.booleans())
    found: list[str] = []
    for number in range(draw(st.integers(1, 10))):
        found.append((f"{number + 1}. " if ordered else "- ") + draw(words(20)))
        found += [f"   - {text}" for text in draw(st.lists(words(5), max_size=2))]
        if draw(st.integers(0, 5)) == 0:
            found += ["", *(f"   {line}" for line in draw(fences()).split("\n"))]
    return draw(st.sampled_from(["\n", "\n", "\n\n"])).join(found)


@st.composite
def tables(draw: st.DrawFn) -> str:
    columns = draw(st.integers(1, 4))
    cells = words(draw(st.sampled_from([3, 40])))
    rows = [
        "| " + " | ".join(draw(cells) for _ in range(columns)) + " |"
        for _ in range(draw(st.integers(1, 8)))
    ]
    header = "| " + " | ".join(["name"] * columns) + " |"
    return "\n".join([header, "|" + " :--- |" * columns, *rows])


@st.composite
def fences(draw: st.DrawFn, unbroken: bool = True) -> str:
    marks = draw(st.sampled_from(["```", "````", "~~~", "~~~~~"]))
    infos = ["", "py", " js", "py title=x"] + (["i" * 60, "i" * 700] if unbroken else [])
    quoted = "```" if marks != "```" else "~~~"
    long_line = st.integers(1, 500).map("x".__mul__) if unbroken else words(100)
    code = st.one_of(
        st.sampled_from(["", "    ", quoted, f"    {quoted}py", "| a |", "# c", "- d"]),
        words(8).map("    ".__add__),
        words(90),
        long_line,
    )
    return "\n".join(
        [marks + draw(st.sampled_from(infos)), *draw(st.lists(code, max_size=10)), marks]
    )


def documents(*, unbroken: bool = True) -> st.SearchStrategy[str]:
    """``unbroken``: with words and info strings that are longer than a part."""
    blocks = [
        words(80),
        lines(words(30), 4),
        words(6).map("{}:".format),
        words(4).map("## {}".format),
        lists() if unbroken else lines(words(20).map("- {}".format), 9),
        tables(),
        fences(unbroken),
    ]
    if unbroken:
        blocks.append(st.integers(1, 900).map("x".__mul__))
    return st.builds(
        lambda found, gap, newline: gap.join(found).replace("\n", newline),
        st.lists(st.one_of(blocks), min_size=3, max_size=9),
        st.sampled_from(["\n", "\n\n", "\n\n\n"]),
        st.sampled_from(["\n", "\n", "\r\n"]),
    )


noise = st.text("`~|-:#* \nab1.", min_size=201, max_size=900)


def parts_of(text: str, *, limit: int) -> list[str]:
    parts: list[str] = []
    while len(text) > limit:
        head, text = cut(text, limit=limit)
        parts.append(head)
    return [*parts, text]


OPENING = re.compile(r"(\s*(?:(?:[-*+]|\d+\.)\s+)?)(`{3,}(?=[^`]*$)|~{3,})")


def ends_in_fence(text: str) -> bool:
    """Written down once more, in another way than in the code."""
    marks, indent = "", 0
    for line in text.splitlines():
        word = line.strip()
        if not marks:
            match = OPENING.match(line)
            indent, marks = (len(match[1]), match[2]) if match else (0, "")
        elif word.startswith(marks) and not word.strip(marks[0]) and line.index(word) <= indent + 3:
            marks = ""
    return bool(marks)


def squeezed(text: str) -> str:
    return "".join(text.split())


# --- what holds for every text ---------------------------------------------------------------


@steady
@given(documents(), limits)
def test_every_part_is_within_the_limit_and_closes_its_fences(text: str, limit: int) -> None:
    *heads, last = parts_of(text, limit=limit)

    assert all(0 < len(head) <= limit for head in heads)
    assert not any(ends_in_fence(part) for part in (*heads, last))


@steady
@given(documents() | noise, limits)
def test_joined_parts_are_the_text_up_to_white_space(text: str, limit: int) -> None:
    assert squeezed(join(parts_of(text, limit=limit))) == squeezed(text)


@steady
@given(documents(unbroken=False), limits)
def test_joined_parts_have_the_words_of_the_text(text: str, limit: int) -> None:
    assert join(parts_of(text, limit=limit)).split() == text.split()


@steady
@given(documents() | noise, limits, st.integers(0, 400))
def test_a_cut_depends_on_the_first_characters_beyond_the_limit_only(
    text: str, limit: int, more: int
) -> None:
    text = text.ljust(limit + 1, "x")
    seen, unseen = text[: limit + 1 + more], text[limit + 1 + more :]

    head, rest = cut(seen, limit=limit)

    assert cut(text, limit=limit) == (head, rest + unseen)


@steady
@given(noise | st.text(min_size=201), limits)
def test_any_text_comes_to_an_end(text: str, limit: int) -> None:
    parts = parts_of(text, limit=limit)

    assert all(0 < len(head) <= limit for head in parts[:-1])
    assert len(parts) <= len(text)


@steady
@given(documents(), st.integers(0, 3000))
def test_text_that_still_grows_closes_its_fences(text: str, length: int) -> None:
    shown = close(text[:length])

    assert not ends_in_fence(shown)
    assert ends_in_fence(text[:length]) or shown == text[:length]


# --- where it is cut -------------------------------------------------------------------------


def sentence(length: int) -> str:
    return ("word " * length)[: length - 1] + "."


def test_it_is_cut_between_paragraphs() -> None:
    text = f"{sentence(90)}\n\n{sentence(80)}\n\n{sentence(200)}"

    assert cut(text, limit=200) == (f"{sentence(90)}\n\n{sentence(80)}", sentence(200))


def test_a_paragraph_boundary_in_the_first_third_is_too_early() -> None:
    head, _ = cut(f"{sentence(40)}\n\n{sentence(300)}", limit=200)

    assert 190 < len(head) <= 200


@pytest.mark.parametrize("introduction", ["## Steps", "Do this:", "**Do this:**", "**Steps**"])
def test_a_heading_or_introduction_stays_with_what_follows(introduction: str) -> None:
    text = f"{sentence(90)}\n\n{introduction}\n\n{sentence(150)}"

    assert cut(text, limit=200) == (sentence(90), f"{introduction}\n\n{sentence(150)}")


def test_blank_lines_at_the_cut_are_trimmed() -> None:
    text = f"{sentence(150)}  \n\n \n\n{sentence(100)}"

    assert cut(text, limit=200) == (sentence(150), sentence(100))


def test_a_text_that_fills_the_limit_to_the_last_character_is_not_split() -> None:
    head, rest = cut("a" * 200 + "\n\nb", limit=200)

    assert (head, rest.strip()) == ("a" * 200, "b")


def test_a_list_is_moved_whole() -> None:
    items = "\n".join(f"{number}. {sentence(30)}" for number in range(1, 6))

    assert cut(f"{sentence(80)}\n\n{items}", limit=200) == (sentence(80), items)


def test_a_list_is_cut_before_an_item_of_its_top_level() -> None:
    item = f"- {sentence(70)}\n  - {sentence(30)}\n"

    head, rest = cut(item * 3, limit=200)

    assert (head, rest) == (item.rstrip(), item * 2)


def test_blank_lines_between_items_are_no_paragraph_boundary() -> None:
    text = f"{sentence(30)}\n\n" + "\n\n".join(f"1. {sentence(40)}" for _ in range(6))

    head, rest = cut(text, limit=200)

    assert head.count("1. ") == 3
    assert rest.startswith("1. ")


TABLE = "| a | b |\n|---|---|\n"


def test_a_table_is_moved_whole() -> None:
    table = TABLE + "| 1 | 2 |\n" * 10

    assert cut(f"{sentence(90)}\n\n{table}", limit=200) == (sentence(90), table)


def test_a_table_that_is_cut_repeats_its_header() -> None:
    head, rest = cut(TABLE + "| 1 | 2 |\n" * 30, limit=200)

    assert head == (TABLE + "| 1 | 2 |\n" * 18).rstrip()
    assert rest == TABLE + "| 1 | 2 |\n" * 12


def test_a_row_longer_than_the_limit_goes_on_beneath_the_header() -> None:
    text = f"{TABLE}| {sentence(400)} | 2 |\n| 3 | 4 |"

    parts = parts_of(text, limit=200)

    assert all(part.startswith(TABLE) for part in parts)
    assert join(parts).split() == text.split()


def test_a_header_is_not_cut_off_its_delimiter_row() -> None:
    for length in range(150, 200):
        text = f"{sentence(100)}\n{sentence(length - 101)}\n\n{TABLE}| 1 | 2 |\n" + sentence(200)

        assert TABLE in "\n\n".join(parts_of(text, limit=200))


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("```python", "```"), ("~~~~ js title=x", "~~~~"), ("````md", "````"), ("   ```sh", "   ```")],
)
def test_a_fence_is_closed_and_opened_again_as_it_was(opening: str, closing: str) -> None:
    code = "    some code\n    ``` not the end\n\n"
    text = f"{opening}\n{code * 9}{closing}\n\nThe end."

    parts = parts_of(text, limit=200)

    assert [part.split("\n")[0] for part in parts] == [opening] * len(parts)
    assert [part.split("\n")[-1] for part in parts[:-1]] == [closing] * (len(parts) - 1)
    assert join(parts).split() == text.split()


def test_a_fence_that_begins_a_list_item_is_opened_again_within_it() -> None:
    head, rest = cut("- ```sh\n" + "  make check\n" * 40 + "  ```\n", limit=200)

    assert head.endswith("\n  make check\n  ```")
    assert rest.startswith("  ```sh\n  make check\n")


def test_no_part_gets_an_empty_fence() -> None:
    for length in range(150, 210):
        text = f"```\n{sentence(90)}\n{sentence(length - 90)}\n```\n\nThe end."

        parts = parts_of(text, limit=200)

        assert not any("```\n```" in part for part in parts)


def test_a_line_of_code_longer_than_the_limit_is_split() -> None:
    parts = parts_of(f"```\n{'x' * 1000}\n```", limit=200)

    assert len(parts) == 6
    assert all(part.startswith("```\nx") and part.endswith("x\n```") for part in parts)


def test_an_absurd_info_string_is_not_repeated() -> None:
    parts = parts_of(f"```{'i' * 500}\ncode\n```", limit=200)

    assert all(part.startswith("```\n") for part in parts[1:])
    assert parts[-1].endswith("code\n```")


def test_text_without_line_breaks_is_cut_at_a_space() -> None:
    head, rest = cut("words " * 100, limit=200)

    assert head.endswith("words")
    assert rest.startswith("words")


@pytest.mark.parametrize(
    "character", ["e\u0301", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "\ud83d\ude00", "\r\n", "1️⃣"]
)
def test_what_is_one_character_for_a_person_is_never_split(character: str) -> None:
    for shift in range(len(character)):
        text = "." * (190 + shift) + character * 9 + "." * 200

        head, rest = cut(text, limit=200)

        assert squeezed(head + rest) == squeezed(text)
        assert not head.replace(character, "").strip(".")


# --- closing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain `code", "plain `code"),
        ("```", "```\n```"),
        ("```py", "```py\n```"),
        ("```   ", "```   \n```"),
        ("```py\n", "```py\n```"),
        ("```py\nx = 1", "```py\nx = 1\n```"),
        ("```py\nx = 1\n`", "```py\nx = 1\n```"),
        ("```py\nx = 1\n``", "```py\nx = 1\n```"),
        ("```py\nx = 1\n```", "```py\nx = 1\n```"),
        ("````md\n```\n", "````md\n```\n````"),
        ("~~~\n```\n~~", "~~~\n```\n~~~"),
        ("1. a\n   ```\n   b\n   `", "1. a\n   ```\n   b\n   ```"),
        ("- ```\n  a", "- ```\n  a\n  ```"),
        ("```code``` in a line", "```code``` in a line"),
    ],
)
def test_an_open_fence_is_closed_for_display(text: str, shown: str) -> None:
    assert close(text) == shown


# --- joining ---------------------------------------------------------------------------------


def test_two_fences_alike_remain_two() -> None:
    fence = "```sh\n" + "make check\n" * 12 + "```"
    text = f"{fence}\n\n{fence}"

    parts = parts_of(text, limit=200)

    assert parts == [f"{fence}\n", fence]
    assert join(parts) == text


def test_two_tables_alike_remain_two() -> None:
    table = TABLE + "| 1 | 2 |\n" * 12
    text = f"{table}\n{table}".rstrip()

    assert join(parts_of(text, limit=200)) == text


def test_a_sentence_goes_on_after_a_seam() -> None:
    assert join(["one sentence", "in two parts."]) == "one sentence in two parts."
    assert join(["- one", "- two"]) == "- one\n- two"
    assert join(["One.", "Two."]) == "One.\n\nTwo."


def test_parts_without_text_are_left_out() -> None:
    assert join(["", "One.", " \n", "Two."]) == "One.\n\nTwo."
    assert join([]) == ""


# --- what follows a beginning that stands ----------------------------------------------------


@steady
@given(documents(), st.integers(0, 3000))
def test_a_beginning_and_its_rest_are_the_text(text: str, end: int) -> None:
    rest = rest_after(text, end)

    if rest is not None:
        shown = close(text[:end]).rstrip()
        assert join([shown, rest]).split() == text.split()
        assert not ends_in_fence(shown)
        assert ends_in_fence(rest) == ends_in_fence(text)


@steady
@given(lines(words(30), 4), st.data())
def test_prose_can_part_between_any_two_words(text: str, data: st.DataObject) -> None:
    ends = [match.start() for match in re.finditer(" ", text)]
    end = data.draw(st.sampled_from(ends)) if ends else 0
    line = text[:end].rpartition("\n")[2]

    if "**" not in line and "`" not in line and ends:
        assert rest_after(text, end) == text[end + 1 :]
        assert rest_after(text, end + 1) == text[end + 1 :]


def test_a_beginning_parts_nowhere_within_a_word() -> None:
    text = "Some words, and some more of them."

    for end in range(len(text)):
        is_within = end == 0 or not (text[end - 1].isspace() or text[end].isspace())
        assert (rest_after(text, end) is None) == is_within


@pytest.mark.parametrize("kind", ["code", "table"])
def test_code_and_tables_part_between_their_lines_only(kind: str) -> None:
    begin, line = ("```py\n", "a = 1 + 2\n") if kind == "code" else (TABLE, "| 1 | 2 |\n")
    text = begin + line * 3 + ("```\n" if kind == "code" else "")

    places = [end for end in range(len(text)) if rest_after(text, end) is not None]

    first, second = len(begin + line), len(begin + line * 2)
    assert places == [first - 1, first, second - 1, second]
    assert rest_after(text, second) == begin + text[second:]


def test_nothing_follows_what_is_all_there() -> None:
    assert rest_after("All of it.", 10) is None
    assert rest_after("All of it.\n\n", 10) is None
    assert rest_after("", 0) is None


# -- where a text that broke off can go on


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The moon pulls the se", "The moon pulls the "),
        ("The moon pulls the sea.", "The moon pulls the "),
        ("One.\n\nTwo", "One.\n\n"),
        ("- one\n- tw", "- one\n- "),
        ("Word", "Word"),
        ("", ""),
        ("月亮拉动大海。", "月亮拉动大海。"),
        ("x" * 200, "x" * 200),
        ("So:\n\n```py\na = 1\nb =\n```", "So:\n\n```py\na = 1\n"),
        ("So:\n\n```py\na =\n```", "So:\n\n```py\n"),
        ("So:\n\n~~~\na = 1\nb\n~~~", "So:\n\n~~~\na = 1\n"),
    ],
)
def test_text_ends_where_another_can_go_on(text: str, expected: str) -> None:
    assert until_seam(text) == expected


@given(st.text())
def test_it_is_a_beginning_of_the_text(text: str) -> None:
    assert text.startswith(until_seam(text))


@given(st.lists(st.sampled_from(["word ", "```\n", "\n", "code()\n", "- item\n"]), max_size=20))
def test_what_was_added_for_display_is_not_kept(pieces: list[str]) -> None:
    text = "".join(pieces)

    if open_fence(text):
        assert text.startswith(until_seam(close(text).rstrip()))
