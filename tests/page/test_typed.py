"""What a person types and what goes over the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.playground.page.typed import to_typed, to_wire

PEOPLE = {"U0BOT": "Bot", "U0ANA": "Ana", "U0ANABERG": "Ana Berg"}
CHANNELS = {"C0GENERAL": "general", "C0GENERALUK": "general-uk"}


def wire(text: str) -> str:
    return to_wire(text, people=PEOPLE, channels=CHANNELS)


def typed(text: str) -> str:
    return to_typed(text, people=PEOPLE, channels=CHANNELS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@Bot hello", "<@U0BOT> hello"),
        ("hello @bot!", "hello <@U0BOT>!"),
        ("@Ana Berg and @Ana", "<@U0ANABERG> and <@U0ANA>"),
        ("@Anabel is somebody else", "@Anabel is somebody else"),
        ("mail ana@bot.example", "mail ana@bot.example"),
        (
            "see #general-uk, not #general",
            "see <#C0GENERALUK|general-uk>, not <#C0GENERAL|general>",
        ),
        ("@here @channel @everyone", "<!here> <!channel> <!everyone>"),
        ("1 < 2 && 3 > 2", "1 &lt; 2 &amp;&amp; 3 &gt; 2"),
        ("(https://a.example/?x=1&y=2).", "(<https://a.example/?x=1&amp;y=2>)."),
        (
            "[https://bank.example](https://evil.example)",
            "[<https://bank.example>](<https://evil.example>)",
        ),
        ("see https://a.example/b_(c).", "see <https://a.example/b_(c)>."),
        ("`@Bot <b>` and ```\n#general https://a.example\n```",) * 2,
        ("<@U0BOT>", "&lt;@U0BOT&gt;"),
    ],
)
def test_typed_text_becomes_what_slack_sends(text: str, expected: str) -> None:
    if "<b>" in expected:
        expected = expected.replace("<b>", "&lt;b&gt;")

    assert wire(text) == expected


def test_in_the_edit_box_stands_what_was_typed() -> None:
    text = "@Ana Berg: see #general & https://a.example/?a=<1>"

    assert typed(wire(text)) == text


def test_a_labelled_reference_of_somebody_unknown_keeps_its_label() -> None:
    assert typed("<@U0GONE|Greta> in <#C0GONE|attic>") == "@Greta in #attic"


PIECES = (
    *("@Bot", "@Ana Berg", "@Ana", "@", "#general", "#", "@here", "https://a.example/x&y"),
    *("`", "```", "<", ">", "&", "&amp;", "|", "\n", " ", "x", "!", ".", "<@U0BOT>", "<!here>"),
)
pieces = st.sampled_from(PIECES)
texts = st.lists(pieces | st.text(max_size=5).filter(lambda text: "@" not in text)).map("".join)


@given(texts)
def test_typed_text_survives_the_way_to_the_wire_and_back(text: str) -> None:
    back = typed(wire(text))

    assert back.casefold() == text.casefold()
    assert wire(back) == wire(text)


@given(texts)
def test_nothing_typed_reaches_the_wire_as_a_bracket_of_its_own(text: str) -> None:
    without_references = wire(text)
    for reference in ("<@U0BOT>", "<@U0ANA>", "<@U0ANABERG>", "<!here>", "<#C0GENERAL|general>"):
        without_references = without_references.replace(reference, "")
    while "<http" in without_references:
        before, _, rest = without_references.partition("<http")
        without_references = before + rest.partition(">")[2]

    assert not set("<>") & set(without_references.replace("<#C0GENERALUK|general-uk>", ""))
