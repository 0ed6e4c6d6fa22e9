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
    Merge,
    Offer,
    is_channel,
    merged,
    models_chosen,
)
from bot.interactions import Unfit
from bot.playground.slack.blocks import check, visible_text
from bot.prompt import together

OFFER = Offer(("usual", "large", "openai/small"), temperature=0.5, max_tokens=4_000)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)

# As a form that nobody touched sends it.
UNTOUCHED = {views.ALLOWED: "yes", views.FOLLOWS: "no", views.MODEL: "*"}
SEEN = AS_EVERYWHERE.digest  # what it showed

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


def elements_of(view: Json) -> dict[str, Any]:
    found = [block["element"] for block in view["blocks"] if block["type"] == "input"]
    return {element["action_id"]: element for element in found}


def enter(**fields: str) -> ChannelSettings:
    entered = UNTOUCHED | {f"channel_{name}": value for name, value in fields.items()}
    return views.settings_from(entered, OFFER, seen=SEEN)


def wrong(**fields: str) -> dict[str, str]:
    with pytest.raises(Unfit) as caught:
        enter(**fields)
    said = caught.value.errors
    fields_of = {views.block_of(field, SEEN): field for field in views.NAMES}
    return {fields_of[block].removeprefix("channel_"): said[block] for block in said}


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
        views.settings_from({}, OFFER, seen=SEEN)

    missing = (views.ALLOWED, views.FOLLOWS, views.MODEL)
    assert set(caught.value.errors) == {views.block_of(field, SEEN) for field in missing}


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
    elements = elements_of(view)

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
    place = here(settings=after, changes=[change] * 5)

    assert "<@UADA>" in read(views.settings_modal(place))
    assert "<@UADA>" in read(views.saved_modal(place))


@given(settings, settings, settings, st.booleans())
def test_form_that_was_not_saved_is_one_that_slack_takes(
    before: ChannelSettings, entered: ChannelSettings, now: ChannelSettings, is_known: bool
) -> None:
    since = [Change(NOON, "UADA", "C1", before, now)] if is_known else []
    view = views.not_saved_modal(here(settings=now), entered, since)

    assert "Nothing is saved yet" in read(view)
    assert view["private_metadata"] == f"C1 {now.digest}"


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
    assert "I answer with the model `large` at a temperature of 0.25. " in text
    assert "An answer has at most 300 tokens (about 220 English words). " in text
    assert "In threads in which I have answered I also answer messages that do not mention" in text
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

    assert "<@UADA> rewrote the instructions (3 characters, before 3)." in text
    assert (
        "<@UCHLOE> rewrote the instructions (3 characters, before 3)"
        " and set the model to other (before: large)."
    ) in text
    assert (
        "<@UBEN> wrote instructions (3 characters)"
        " and set the model to large (before: as everywhere)."
    ) in text


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"is_allowed": False}, "let me answer nobody here"),
        ({"is_allowed": False}, {}, "let me answer here"),
        ({}, {"follows_up": True}, "let me answer in threads also without a mention"),
        ({"follows_up": True}, {}, "let me answer only when I am mentioned"),
        ({"instructions": "one"}, {}, "removed the instructions (3 characters)"),
        ({}, {"temperature": 0.0}, "set the temperature to 0 (before: as everywhere)"),
        ({"temperature": 0.7}, {}, "left the temperature as it is everywhere (before: 0.7)"),
        (
            {"max_tokens": 1_500},
            {"max_tokens": 300},
            "set the longest answer to 300 tokens (before: 1,500 tokens)",
        ),
        ({"model": "large"}, {}, "left the model as it is everywhere (before: large)"),
    ],
)
def test_each_change_reads_as_a_sentence(
    before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    change = Change(NOON, "UBEN", "C1", ChannelSettings(**before), ChannelSettings(**after))

    assert f"<@UBEN> {said}." in read(views.settings_modal(here(changes=[change])))


# -- what others set while a form was open


def test_field_that_was_left_as_it_was_takes_what_others_have_set() -> None:
    mine, theirs = ChannelSettings(temperature=1.1), ChannelSettings(instructions="Be long.")

    assert merged(AS_EVERYWHERE, mine, theirs) == Merge(
        ChannelSettings(temperature=1.1, instructions="Be long."),
        taken=frozenset({"instructions"}),
    )


def test_field_that_both_have_changed_stays_as_entered_and_is_contested() -> None:
    before, mine, theirs = (ChannelSettings(temperature=value) for value in (0.5, 1.1, 0.7))

    assert merged(before, mine, theirs) == Merge(mine, contested=frozenset({"temperature"}))


def test_what_both_have_set_alike_is_no_matter() -> None:
    both = ChannelSettings(temperature=1.1)

    assert merged(AS_EVERYWHERE, both, both) == Merge(both)


def test_all_that_differs_is_contested_where_nobody_knows_what_the_form_showed() -> None:
    mine = ChannelSettings(temperature=1.1, model="large")
    theirs = ChannelSettings(temperature=1.1, instructions="Be long.")

    assert merged(None, mine, theirs) == Merge(mine, contested=frozenset({"model", "instructions"}))


@given(settings, settings, settings)
def test_each_value_of_a_merge_is_one_person_s_and_none_is_lost_unseen(
    before: ChannelSettings, mine: ChannelSettings, theirs: ChannelSettings
) -> None:
    merge = merged(before, mine, theirs)

    for name in views.NAMES.values():
        was, entered, now = (getattr(each, name) for each in (before, mine, theirs))
        found = getattr(merge.settings, name)
        assert found == (now if entered == was else entered)
        assert found == now or now == was or name in merge.contested


def test_model_that_the_form_could_not_show_was_left_as_it_was() -> None:
    """It showed that of everywhere instead, and was sent off with that."""
    gone = ChannelSettings(model="gone")
    since = [Change(NOON, "UBEN", "C1", gone, ChannelSettings(model="large"))]
    mine = ChannelSettings(temperature=1.1)
    view = views.not_saved_modal(here(settings=since[0].after), mine, since)

    assert elements_of(view)[views.MODEL]["initial_option"]["value"] == "large"


def test_form_that_was_not_saved_cannot_be_taken_for_the_first() -> None:
    since = [Change(NOON, "UBEN", "C1", AS_EVERYWHERE, ChannelSettings(model="large"))]
    place = here(settings=since[0].after)
    view = views.not_saved_modal(place, ChannelSettings(temperature=1.1), since)
    first = views.settings_modal(here())

    assert view["title"]["text"] == "Not saved yet"
    assert view["submit"]["text"] == views.SAVE_BOTH
    blocks = [{block.get("block_id") for block in each["blocks"]} for each in (view, first)]
    assert blocks[0] & blocks[1] == {None}  # or Slack would keep what stood in the fields
