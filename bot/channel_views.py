"""The settings of a channel as people read and set them in Slack."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bot.blocks import (
    SECTION_LIMIT,
    Json,
    actions,
    asked,
    button,
    channel_menu,
    context,
    divider,
    doer,
    escape,
    menu,
    message,
    modal,
    moment,
    number,
    plain,
    section,
    text_area,
)
from bot.channel_settings import (
    LEAST_TOKENS,
    LONGEST_INSTRUCTIONS,
    MOST_TEMPERATURE,
    Change,
    ChannelSettings,
    Merge,
    Offer,
    merged,
)
from bot.channel_words import all_deeds, answering, deeds, value
from bot.follow_ups import CHANNEL_EVENTS
from bot.interactions import Unfit

# Names of the actions and of the form.
SETTINGS = "channel_settings"
CHOSEN, OPEN = "channel_chosen", "channel_open"
ALLOWED, FOLLOWS, MODEL = "channel_allowed", "channel_follows", "channel_model"
INSTRUCTIONS, TEMPERATURE, TOKENS = (
    "channel_instructions",
    "channel_temperature",
    "channel_max_tokens",
)

ALLOWED_WORDS: Mapping[str, str] = {"yes": "I answer here", "no": "I answer nobody here"}
FOLLOWS_WORDS: Mapping[str, str] = {
    "no": "Only when I am mentioned",
    "yes": "Also without a mention, in threads in which I have answered",
}
AS_EVERYWHERE = "*"  # in the menu of models

# Which value of `ChannelSettings` stands in a field.
NAMES: Mapping[str, str] = {
    ALLOWED: "is_allowed",
    INSTRUCTIONS: "instructions",
    MODEL: "model",
    TEMPERATURE: "temperature",
    TOKENS: "max_tokens",
    FOLLOWS: "follows_up",
}

NO_DIRECT = (
    "Settings are for channels: write `/llm settings` in one. Direct messages are as whoever runs "
    "me has set them up."
)
NOT_YOURS = "Only admins and whoever made this channel may change its settings."
NO_SCOPE = (
    "Only admins may change these settings: who made this channel I am not allowed to see. For "
    "that I need the scope `channels:read` in public channels, `groups:read` in private ones, and "
    "`mpim:read` in group messages."
)
NOT_SHOWN = (
    "Only admins may change its settings: Slack does not show me this channel, so I do not know "
    "who made it. If you did, invite me and try again."
)
ADMINS_ONLY = "Only admins may choose a channel here; `/llm settings` works in your own channels."
NONE_CHOSEN = "Choose a channel first, then open its settings."
NOT_SAVED = (
    ":warning: *Nothing is saved yet*: the settings of <#{channel}> were changed while you had "
    "this form open."
)
SAVED = ":white_check_mark: *Saved.* It counts from the next answer on."

# What a form that was not saved is sent off with: two things are saved, or one instead of another.
SAVE_BOTH, SAVE_ANYWAY = "Save both", "Save anyway"

MOST_CHANGES = 5

_EVENTS = f"{', '.join(CHANNEL_EVENTS[:-1])} and {CHANNEL_EVENTS[-1]}"


@dataclass(frozen=True, slots=True)
class Here:
    """What is set for a channel, and what may be."""

    channel: str
    settings: ChannelSettings
    offer: Offer
    changes: Sequence[Change] = ()  # the newest first
    is_listed: bool = True  # the operator lets the bot answer there


def settings_modal(here: Here) -> Json:
    """The form, which knows what was set when it was shown."""
    blocks = [
        section(f"*<#{here.channel}>*"),
        *_warnings(here),
        *_form(here, here.settings),
        *_changes(here.changes),
    ]
    return _about(here, modal("Channel settings", blocks, callback_id=SETTINGS, submit="Save"))


def saved_modal(here: Here) -> Json:
    """In the form's place: what is set now, and the way back to the form."""
    again = actions(button(OPEN, "Change again", value=here.channel))
    return modal("Saved", [section(SAVED), *in_words(here), again], callback_id=SETTINGS)


def not_saved_modal(here: Here, entered: ChannelSettings, since: Sequence[Change]) -> Json:
    """The form once more, where others have set something else while it was open.

    It has their values where this person had changed nothing. Where both had, it has what this
    person entered, and theirs beneath it. ``since`` are the changes since it was shown, the newest
    first; none: that is not known.
    """
    shown = here.offer.as_shown(since[-1].before) if since else None
    merge = merged(shown, entered, here.offer.as_shown(here.settings))
    submit = SAVE_ANYWAY if merge.contested else SAVE_BOTH
    blocks = [
        section("\n".join(_meanwhile(here, merge, since, submit))),
        divider(),
        *_warnings(here),
        *_form(here, merge.settings, _theirs(here, merge, since)),
    ]
    return _about(here, modal("Not saved yet", blocks, callback_id=SETTINGS, submit=submit))


def _about(here: Here, view: Json) -> Json:
    return view | {"private_metadata": f"{here.channel} {here.settings.digest}"}


def shown_in(about: str) -> tuple[str, str]:
    """The channel that a form was opened for, and the digest of the settings that it showed."""
    channel, _, digest = about.partition(" ")
    return channel, digest


def block_of(field: str, seen: str) -> str:
    """The ``block_id`` of a field in a form that shows the settings with that digest.

    A form that is shown again with others has other blocks: in a block of the same name Slack keeps
    what was typed, whatever the new one begins with (docs.slack.dev/reference/views/modal-views).
    """
    return f"{field}-{seen}"


def refused_modal(sentence: str) -> Json:
    return modal("Channel settings", [section(escape(sentence))], callback_id=SETTINGS)


def settings_message(here: Here, why_not: str) -> Json:
    """For somebody who may not change them."""
    return message([*in_words(here), context(why_not)], text=f"What is set here. {why_not}")


def home_section() -> list[Json]:
    """For admins, in the App Home."""
    return [
        divider(),
        section("*Settings of a channel*"),
        actions(channel_menu(CHOSEN), button(OPEN, "Open its settings")),
    ]


def in_words(here: Here) -> list[Json]:
    """What is set, for anybody in the channel."""
    settings, offer = here.settings, here.offer
    where = f"*In <#{here.channel}>*"
    if not (settings.is_allowed and here.is_listed):
        lines = [f"{where} I answer nobody."]
    else:
        lines = [f"{where} {answering(settings, offer)}"]
    if here.changes:
        newest = here.changes[0]
        lines.append(f"Set by {doer(newest.by)}, {moment(newest.at)}.")
    blocks = [section("\n".join(lines)), *_warnings(here)]
    if settings.instructions:
        words = {"type": "section", "text": plain(settings.instructions)}
        blocks += [context("What I am told here, beside what holds everywhere:"), words]
    return blocks


def settings_from(entered: Mapping[str, str], offer: Offer, *, seen: str) -> ChannelSettings:
    """``seen`` is the digest of the settings that the form showed.

    :raises Unfit: saying at each field what is wrong.
    """
    problems: dict[str, str] = {}

    def read(field: str, parsed: Any) -> Any:
        try:
            return parsed(entered.get(field, "").strip())
        except ValueError as problem:
            problems[block_of(field, seen)] = str(problem)

    found = ChannelSettings(
        is_allowed=read(ALLOWED, _yes_or_no("Choose whether I answer here.")),
        follows_up=read(FOLLOWS, _yes_or_no("Choose when I answer.")),
        instructions=read(INSTRUCTIONS, _instructions),
        model=read(MODEL, lambda name: _model(name, offer)),
        temperature=read(TEMPERATURE, _temperature),
        max_tokens=read(TOKENS, lambda text: _tokens(text, offer.most_tokens)),
    )
    if problems:
        (block_id, sentence), *others = problems.items()
        raise Unfit(block_id, sentence, dict(others))
    return found


# -- parts of the form


def _form(
    here: Here,
    filled_in: ChannelSettings,
    notes: Mapping[str, Sequence[Json]] = MappingProxyType({}),
) -> Iterator[Json]:
    """``notes`` stand beneath the fields."""
    for block in _fields(here.offer, filled_in):
        field = block["block_id"]
        yield block | {"block_id": block_of(field, here.settings.digest)}
        yield from notes.get(field, ())


def _fields(offer: Offer, settings: ChannelSettings) -> Iterator[Json]:
    is_allowed, follows = (
        "yes" if on else "no" for on in (settings.is_allowed, settings.follows_up)
    )
    yield asked(ALLOWED, "Questions here", menu(ALLOWED, ALLOWED_WORDS, chosen=is_allowed))
    yield asked(
        INSTRUCTIONS,
        "Instructions",
        text_area(INSTRUCTIONS, written=settings.instructions, longest=LONGEST_INSTRUCTIONS),
        hint="Added to those that hold everywhere. Anybody in the channel can read them with /llm.",
        may_be_empty=True,
    )
    everywhere = {AS_EVERYWHERE: f"As everywhere: {offer.models[0]}"}
    models = everywhere | {name: name for name in offer.models[1:]}
    chosen = offer.as_shown(settings).model or AS_EVERYWHERE
    yield asked(MODEL, "Model", menu(MODEL, models, chosen=chosen))
    yield asked(
        TEMPERATURE,
        "Temperature",
        number(
            TEMPERATURE,
            least="0",
            most=f"{MOST_TEMPERATURE:g}",
            written="" if settings.temperature is None else f"{settings.temperature:g}",
            placeholder="as everywhere" + _in_brackets(offer.temperature),
        ),
        hint="0 for the same again and again, up to 2 for surprises.",
        may_be_empty=True,
    )
    yield asked(
        TOKENS,
        "Longest answer, in tokens",
        number(
            TOKENS,
            least=str(LEAST_TOKENS),
            most=str(offer.most_tokens),
            written="" if settings.max_tokens is None else str(settings.max_tokens),
            placeholder="as everywhere" + _in_brackets(offer.max_tokens),
        ),
        may_be_empty=True,
    )
    yield asked(
        FOLLOWS,
        "When I answer in threads",
        menu(FOLLOWS, FOLLOWS_WORDS, chosen=follows),
        hint=f"Without a mention only if my app gets the events {_EVENTS}. What calls somebody "
        "else at its beginning I leave to them.",
    )


def _in_brackets(value: float | None) -> str:
    return "" if value is None else f" ({value:g})"


def _warnings(here: Here) -> Iterator[Json]:
    """Where what is set does not hold."""
    if not here.is_listed:
        yield context("Whoever runs me does not let me answer in this channel (ALLOW_CHANNELS).")
    model = here.offer.model(here.settings)
    if here.settings.model not in (None, model):
        chosen, answers = map(escape, (here.settings.model or "", model))
        yield context(f"The model {chosen} is not offered any more: {answers} answers.")


def _changes(changes: Sequence[Change]) -> list[Json]:
    if not changes:
        return []
    said = []
    for each in changes[:MOST_CHANGES]:
        deed = all_deeds(each.before, each.after)
        said.append(f"{moment(each.at)}: {doer(each.by)} {deed}.")
    return [divider(), section("*Changes*\n" + "\n".join(said))]


# -- parts of a form that was not saved


def _meanwhile(here: Here, merge: Merge, since: Sequence[Change], submit: str) -> Iterator[str]:
    """What others have changed, and what the form makes of it."""
    yield NOT_SAVED.format(channel=here.channel)
    if since:
        before, now = map(here.offer.as_shown, (since[-1].before, here.settings))
        for name, deed in deeds(before, now).items():
            yield f"• {_who(name, since)} {deed}.{_becomes(name, merge)}"
    else:
        yield "I cannot tell any more by whom: what is set now stands at each field that differs."
    yield f"*{submit}* sets what this form shows now."


def _becomes(name: str, merge: Merge) -> str:
    if name in merge.taken:
        return " You had left this alone, so your form has it too."
    if name in merge.contested:
        return " You changed this too: the form has yours, and theirs beneath."
    return " So did you."


def _theirs(here: Here, merge: Merge, since: Sequence[Change]) -> Mapping[str, Sequence[Json]]:
    """By field, what others have set where this person has changed it too."""
    contested = {field: name for field, name in NAMES.items() if name in merge.contested}
    return {field: _instead(here, name, since) for field, name in contested.items()}


def _instead(here: Here, name: str, since: Sequence[Change]) -> list[Json]:
    by = f", by {_who(name, since)}" if since else ""
    yours = f"*{SAVE_ANYWAY}* puts yours in its place."
    instructions = here.settings.instructions
    if name == "instructions" and instructions:
        words = {"type": "section", "text": plain(instructions[:SECTION_LIMIT])}
        return [section(f":warning: This is set now{by}. {yours}"), words]
    return [section(f":warning: Set now{by}: *{_said(name, here)}*. {yours}")]


def _who(name: str, since: Sequence[Change]) -> str:
    """Who was the last to change a value."""
    found = (each.by for each in since if getattr(each.before, name) != getattr(each.after, name))
    by = next(found, "")
    return doer(by) if by else "Somebody"


def _said(name: str, here: Here) -> str:
    """One of the values that are set, as its field would show it."""
    settings = here.offer.as_shown(here.settings)
    match name:
        case "is_allowed":
            return ALLOWED_WORDS["yes" if settings.is_allowed else "no"]
        case "follows_up":
            return FOLLOWS_WORDS["yes" if settings.follows_up else "no"]
        case "instructions":
            return "no instructions"
        case _:
            return value(name, settings)


# -- what people enter: ValueErrors say what is wrong with it


def _yes_or_no(otherwise: str) -> Any:
    def parse(text: str) -> bool:
        if text not in ("yes", "no"):
            raise ValueError(otherwise)
        return text == "yes"

    return parse


def _instructions(text: str) -> str:
    if len(text) > LONGEST_INSTRUCTIONS:
        raise ValueError(
            f"These are {len(text):,} characters or more, of which each question here would pay. "
            f"At most {LONGEST_INSTRUCTIONS:,} fit."
        )
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = (c for c in lines if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept).strip()


def _model(name: str, offer: Offer) -> str | None:
    if name == AS_EVERYWHERE:
        return None
    if name not in offer.models:
        raise ValueError("This model is not among those that may be chosen.")
    return name


def _temperature(text: str) -> float | None:
    if not text:
        return None
    is_number = re.fullmatch(r"\d{1,3}([.,]\d{1,9})?", text, re.ASCII)
    value = round(float(text.replace(",", ".")), 2) if is_number else -1.0
    if not 0 <= value <= MOST_TEMPERATURE:
        raise ValueError(f"Write a number from 0 to {MOST_TEMPERATURE:g}, like 0.7, or nothing.")
    return value


def _tokens(text: str, most: int) -> int | None:
    if not text:
        return None
    digits = re.sub(r"[,_ ]", "", text)
    value = int(digits) if re.fullmatch(r"\d{1,9}", digits, re.ASCII) else 0
    if not LEAST_TOKENS <= value <= most:
        raise ValueError(
            f"Write a whole number from {LEAST_TOKENS:,} to {most:,}, or nothing. "
            "The most is what whoever runs me has set."
        )
    return value
