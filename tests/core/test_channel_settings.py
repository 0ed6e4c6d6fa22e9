"""What follows from the settings of a channel, and what people may enter in their form."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import channel_views as views
from bot.blocks import Json
from bot.channel_settings import (
    AS_EVERYWHERE,
    LONGEST_INSTRUCTIONS,
    Change,
    ChannelSettings,
    Manner,
    Offer,
    is_channel,
    models_chosen,
)
from bot.interactions import Unfit
from bot.playground.slack.blocks import check, visible_text
from bot.prompt import together

OFFER = Offer(("usual", "large", "openai/small"), temperature=0.5, max_tokens=4_000)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)

# As a form that nobody touched sends it.
UNTOUCHED = {views.ALLOWED: "yes", views.FOLLOWS: "no", views.MODEL: "*"}

settings = st.builds(
    ChannelSettings,
    is_allowed=st.booleans(),
    follows_up=st.booleans(),
    instructions=st.text(max_size=50),
    model=st.sampled_from([None, *OFFER.models, "gone"]),
    temperature=st.none() | st.floats(0, 2),
    max_tokens=st.none() | st.integers(100, 9_000),
)


def here(**values: Any) -> views.Here:
    known: dict[str, Any] = {"settings": AS_EVERYWHERE, "offer": OFFER} | values
    return views.Here("C1", **known)


def read(view: Json) -> str:
    check(view["blocks"], most=100)
    return visible_text(view)


def enter(**fields: str) -> ChannelSettings:
    return views.settings_from(UNTOUCHED | {f"channel_{k}": v for k, v in fields.items()}, OFFER)


def wrong(**fields: str) -> dict[str, str]:
    with pytest.raises(Unfit) as caught:
        enter(**fields)
    return {name.removeprefix("channel_"): said for name, said in caught.value.errors.items()}


# -- what follows for an answer


def test_channel_for_which_nothing_is_set_is_as_everywhere() -> None:
    assert OFFER.manner(AS_EVERYWHERE) == Manner("usual")


def test_what_is_set_holds() -> None:
    chosen = ChannelSettings(
        model="large", temperature=0.0, max_tokens=200, instructions="Be brief."
    )

    assert OFFER.manner(chosen) == Manner("large", 0.0, 200, "Be brief.")


def test_model_that_is_not_offered_any_more_gives_way() -> None:
    assert OFFER.model(ChannelSettings(model="gone")) == "usual"


def test_longest_answer_is_never_longer_than_the_operator_s() -> None:
    long = ChannelSettings(max_tokens=9_000)

    assert OFFER.manner(long).max_tokens == 4_000
    assert Offer(("usual",)).manner(long).max_tokens == 9_000


@given(settings)
def test_what_is_written_down_reads_back(before: ChannelSettings) -> None:
    assert ChannelSettings.from_json(before.as_json()) == before
    assert ChannelSettings.from_json(before.as_json() | {"a later one": 1}) == before


@pytest.mark.parametrize("id", ["C012AB3CD", "G012AB3CD"])
def test_channels_and_group_messages_may_have_settings(id: str) -> None:
    assert is_channel(id)


@pytest.mark.parametrize("id", ["", "D012AB3CD", "U012AB3CD", "C1", "c012ab3cd", "C012AB3CD; x"])
def test_nothing_else_may(id: str) -> None:
    assert not is_channel(id)


def test_models_that_channels_have_chosen_are_known() -> None:
    channels = {"C1": ChannelSettings(model="large"), "C2": ChannelSettings(follows_up=True)}

    assert models_chosen(channels) == {"C1": "large"}


def test_operator_s_instructions_stay_before_the_channel_s() -> None:
    assert together("Be kind.", "") == "Be kind."
    assert together("Be kind.\n", "Be brief.").startswith("Be kind.\n\nIn this channel")
    assert together("Be kind.", "Be brief.").endswith(":\nBe brief.")


# -- the form


def test_form_that_nobody_touched_sets_nothing() -> None:
    assert enter() == AS_EVERYWHERE


def test_form_sets_what_is_entered() -> None:
    entered = enter(
        allowed="no",
        follows="yes",
        model="openai/small",
        temperature=" 0.7 ",
        max_tokens="1,500",
        instructions="  Be brief.\r\nUse metres.\n\n",
    )

    assert entered == ChannelSettings(
        is_allowed=False,
        follows_up=True,
        model="openai/small",
        temperature=0.7,
        max_tokens=1_500,
        instructions="Be brief.\nUse metres.",
    )


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("2", 2.0), ("0,5", 0.5), ("1.005", 1.0)])
def test_temperature_is_from_0_to_2(text: str, value: float) -> None:
    assert enter(temperature=text).temperature == value


@pytest.mark.parametrize(
    "text", ["nan", "NaN", "inf", "-1", "2.1", "3", "1e0", "hot", "٠٫٥", "0x1", "0.7; 1", "9" * 400]
)
def test_other_temperatures_are_refused_at_their_field(text: str) -> None:
    assert wrong(temperature=text) == {
        "temperature": "Write a number from 0 to 2, like 0.7, or nothing."
    }


@pytest.mark.parametrize("text", ["0", "99", "4001", "-200", "1.5", "many", "1e3", "9" * 300, "²"])
def test_longest_answer_beyond_what_may_be_is_refused_at_its_field(text: str) -> None:
    problem = wrong(max_tokens=text)

    assert list(problem) == ["max_tokens"]
    assert "from 100 to 4,000" in problem["max_tokens"]


@pytest.mark.parametrize("name", ["", "gone", "usual ; drop", "LARGE"])
def test_model_that_is_not_offered_is_refused_at_its_field(name: str) -> None:
    assert wrong(model=name) == {"model": "This model is not among those that may be chosen."}


def test_instructions_that_are_too_long_are_refused_with_their_length() -> None:
    assert enter(instructions="x" * LONGEST_INSTRUCTIONS).instructions
    problem = wrong(instructions="x" * 3_000)

    assert problem["instructions"].startswith("These are 3,000 characters or more")
    assert "2,000" in problem["instructions"]


def test_instructions_lose_what_nobody_can_read() -> None:
    assert enter(instructions="a\x00b\x1b[1m\ud83d\tc").instructions == "ab[1m\tc"


@pytest.mark.parametrize("field", ["allowed", "follows"])
@pytest.mark.parametrize("value", ["", "maybe", "true"])
def test_choice_that_is_none_is_refused_at_its_field(field: str, value: str) -> None:
    assert list(wrong(**{field: value})) == [field]


def test_form_that_is_empty_says_what_is_missing() -> None:
    with pytest.raises(Unfit) as caught:
        views.settings_from({}, OFFER)

    assert set(caught.value.errors) == {views.ALLOWED, views.FOLLOWS, views.MODEL}


def test_all_mistakes_are_told_at_once() -> None:
    assert set(
        wrong(temperature="nan", max_tokens="0", model="gone", instructions="x" * 3_000)
    ) == {
        "temperature",
        "max_tokens",
        "model",
        "instructions",
    }


def test_form_begins_with_what_is_set() -> None:
    chosen = ChannelSettings(
        model="large", temperature=0.25, max_tokens=300, instructions="Be brief.", follows_up=True
    )
    view = views.settings_modal(here(settings=chosen))
    check(view["blocks"], most=100)
    elements = {b["block_id"]: b["element"] for b in view["blocks"] if b["type"] == "input"}

    assert view["private_metadata"] == f"C1 {chosen.digest}"
    assert elements[views.MODEL]["initial_option"]["value"] == "large"
    assert elements[views.FOLLOWS]["initial_option"]["value"] == "yes"
    assert elements[views.TEMPERATURE]["initial_value"] == "0.25"
    assert elements[views.TOKENS]["initial_value"] == "300"
    assert elements[views.INSTRUCTIONS]["initial_value"] == "Be brief."


def test_form_names_the_events_that_follow_ups_need() -> None:
    hints = str(views.settings_modal(here()))

    assert all(name in hints for name in ("message.channels", "message.groups", "message.mpim"))


@given(settings, settings)
def test_form_is_one_that_slack_takes(before: ChannelSettings, after: ChannelSettings) -> None:
    change = Change(NOON, "UADA", "C1", before, after)
    view = views.settings_modal(here(settings=after, changes=[change] * 5), said=views.SAVED)

    assert "<@UADA>" in read(view)


# -- what anybody reads


def test_anybody_reads_what_is_set_and_by_whom() -> None:
    chosen = ChannelSettings(
        model="large",
        temperature=0.25,
        max_tokens=300,
        instructions="Be <!channel> & brief.",
        follows_up=True,
    )
    change = Change(NOON, "UADA", "C1", AS_EVERYWHERE, chosen)
    shown = {"blocks": views.in_words(here(settings=chosen, changes=[change]))}

    text = read(shown)
    assert "`large`, temperature 0.25, at most 300 tokens" in text
    assert "Also without a mention" in text
    assert "Set by <@UADA>" in text
    assert "Be <!channel> & brief." in text  # as plain text, which pings nobody
    assert shown["blocks"][-1]["text"]["type"] == "plain_text"


def test_switched_off_channel_says_so() -> None:
    off = here(settings=ChannelSettings(is_allowed=False))

    assert read({"blocks": views.in_words(off)}) == "*In <#C1>* I answer nobody."


def test_channel_that_the_operator_leaves_out_says_so() -> None:
    assert "ALLOW_CHANNELS" in read({"blocks": views.in_words(here(is_listed=False))})


def test_model_that_is_gone_is_named_with_the_one_that_answers() -> None:
    text = read({"blocks": views.in_words(here(settings=ChannelSettings(model="gone<")))})

    assert "The model gone< is not offered any more: usual answers." in text


def test_changes_say_what_was_and_what_is() -> None:
    before = ChannelSettings(instructions="one", model="large")
    changes = [
        Change(NOON, "UADA", "C1", before, ChannelSettings(instructions="two", model="large")),
        Change(NOON, "UCHLOE", "C1", before, ChannelSettings(instructions="two", model="other")),
        Change(NOON, "UBEN", "C1", AS_EVERYWHERE, before),
    ]
    text = read(views.settings_modal(here(settings=before, changes=changes)))

    assert "<@UADA>: instructions reworded" in text
    assert "<@UCHLOE>: model large → other, instructions reworded" in text
    assert "<@UBEN>: instructions as everywhere → of 3 characters, model as everywhere → large" in (
        text
    )
