"""The settings of a channel in sentences: what is set, and what somebody has changed."""

from bot.blocks import escape
from bot.channel_settings import ChannelSettings, Offer

WORDS_IN_A_TOKEN = 0.75  # of English (help.openai.com, "What are tokens and how to count them?")


def answering(settings: ChannelSettings, offer: Offer) -> str:
    """How questions are answered, and which."""
    said = f"I answer with the model `{escape(offer.model(settings))}`"
    if settings.temperature is not None:
        said += f" at a temperature of {settings.temperature:g}"
    if most := offer.manner(settings).max_tokens:
        about = round(most * WORDS_IN_A_TOKEN, -1)
        said += f". An answer has at most {most:,} tokens (about {about:,.0f} English words)"
    return f"{said}. {_which(settings)}"


def value(name: str, settings: ChannelSettings) -> str:
    """One of them, but for instructions, which speak for themselves."""
    found = getattr(settings, name)
    if found is None:
        return "as everywhere"
    match name:
        case "temperature":
            return f"{found:g}"
        case "max_tokens":
            return f"{found:,} tokens"
        case _:
            return escape(str(found))


def deeds(before: ChannelSettings, after: ChannelSettings) -> dict[str, str]:
    """By name of the value, what somebody did to make the one of the other; follows who it was."""
    said = {
        "is_allowed": "let me answer here" if after.is_allowed else "let me answer nobody here",
        "instructions": _rewrote(before.instructions, after.instructions),
        "model": _set("model", "model", before, after),
        "temperature": _set("temperature", "temperature", before, after),
        "max_tokens": _set("longest answer", "max_tokens", before, after),
        "follows_up": "let me answer in threads also without a mention"
        if after.follows_up
        else "let me answer only when I am mentioned",
    }
    return {
        name: deed for name, deed in said.items() if getattr(before, name) != getattr(after, name)
    }


def all_deeds(before: ChannelSettings, after: ChannelSettings) -> str:
    *head, last = deeds(before, after).values() or ["changed nothing"]
    return f"{', '.join(head)} and {last}" if head else last


def _which(settings: ChannelSettings) -> str:
    if settings.follows_up:
        return "In threads in which I have answered I also answer messages that do not mention me."
    return "I answer only messages that mention me."


def _rewrote(before: str, after: str) -> str:
    """By their length: their words stand elsewhere."""
    if not before:
        return f"wrote instructions ({len(after):,} characters)"
    if not after:
        return f"removed the instructions ({len(before):,} characters)"
    return f"rewrote the instructions ({len(after):,} characters, before {len(before):,})"


def _set(what: str, name: str, before: ChannelSettings, after: ChannelSettings) -> str:
    was = f"(before: {value(name, before)})"
    if getattr(after, name) is None:
        return f"left the {what} as it is everywhere {was}"
    return f"set the {what} to {value(name, after)} {was}"
