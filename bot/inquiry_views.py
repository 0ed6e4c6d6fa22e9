"""The form in which people ask about a message, and what they read when it is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bot.blocks import Json, context, escape, modal, plain, section
from bot.features import ASK
from bot.gate import is_id, is_ts
from bot.inquiry import CUT, LONGEST_WORDS, Place, Subject, fits
from bot.interactions import Unfit

# The inputs of the form; each block is named like what is in it.
QUESTION, TASK, WHERE = "question", "task", "where"

Where = Literal["privately", "thread"]

TITLE = "Ask about a message"

# What people ask for most, so that they need not write it.
TASKS: Mapping[str, str] = {
    "explain": "Explain this message.",
    "summarise": "Summarise the thread of this message.",
    "reply": "Draft a reply to this message.",
}

# Without the thread there is nothing to summarise.
TASKS_ALONE = {name: words for name, words in TASKS.items() if name != "summarise"}

# Characters: ``private_metadata`` has 3,000 (docs.slack.dev/reference/views), whose emoji may count
# as two, and holds a seal too.
LONGEST_TEXT = 2_400

SHOWN = 300  # characters of the message at the top of the form

NOTHING_ASKED = "Say what you want to know, or choose one of the ready-made wishes."
TOO_LONG = "That is too long for me. Please say it shorter."
NOT_OURS = "I do not know this form any more. Please close it, and open it from the message again."
CANNOT_READ = (
    "I cannot read along here, so I can answer about this message alone, and only to you. "
    "In channels to which somebody invites me I read the thread too."
)
NO_WORDS = "There is no text in this message, and I cannot read what else stands there."
IN_DIRECT_MESSAGES = "I answer in our direct messages"
GONE = "I did not ask: the message is not there any more."
NOT_POSTED = "Slack does not let me write there, so I did not ask. The reason is in my log."
MAY_BE_POSTED = (
    "Slack did not say whether your question stands there now. If it does not, or no answer comes, "
    "please ask again."
)
MAY_BE_LATE = (
    "Your question stands there, but I cannot write it down just now. I answer as soon as I can; "
    "if nothing comes within some minutes, please ask again."
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody entered."""

    words: str
    where: Where


def ask_modal(subject: Subject, about: str) -> Json:
    """``about`` comes back with what is entered."""
    if not subject.quote and subject.is_alone:
        return notice_modal(NO_WORDS)
    blocks = [context(_shown(subject.quote)), _question(), _task(subject)]
    blocks.append(section(escape(CANNOT_READ)) if subject.is_alone else _where())
    return modal(TITLE, blocks, callback_id=ASK, submit="Ask") | {"private_metadata": about}


def notice_modal(sentence: str, link: str = "") -> Json:
    """In the place of the form; the sentence may lead somewhere."""
    text = f"<{link}|{escape(sentence)}>." if link else escape(sentence)
    return modal(TITLE, [section(text)], callback_id=ASK)


def wish_from(entered: Mapping[str, str], subject: Subject) -> Wish:
    """:raises Unfit: saying what is missing or wrong."""
    task = TASKS.get(entered.get(TASK, ""), "")
    own = entered.get(QUESTION, "").strip()
    words = "\n".join(part for part in (task, own) if part)
    if not words:
        raise Unfit(QUESTION, NOTHING_ASKED)
    if len(own) > LONGEST_WORDS or not fits(words):
        raise Unfit(QUESTION, TOO_LONG)
    is_public = entered.get(WHERE) == "thread" and not subject.is_alone
    return Wish(words, "thread" if is_public else "privately")


# -- what travels through the form


def in_text(subject: Subject) -> str:
    """At most so many characters; of a quote with many marks that JSON escapes only the start."""
    place = subject.place
    found = {
        "channel": place.channel,
        "ts": place.ts,
        "thread_ts": place.thread_ts,
        "quote": subject.quote,
        "link": subject.link,
        "is_alone": subject.is_alone,
    }
    text = json.dumps(found, ensure_ascii=False)
    if len(text) <= LONGEST_TEXT:
        return text
    quote = subject.quote.removesuffix(CUT)
    return in_text(replace(subject, quote=quote[: len(quote) * 3 // 4] + CUT))


def subject_from(text: str) -> Subject | None:
    """None for what `in_text` has not written."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    channel, ts, thread_ts = (found.get(name) for name in ("channel", "ts", "thread_ts"))
    quote, link = found.get("quote"), found.get("link")
    if not (is_id(channel) and is_ts(ts) and is_ts(thread_ts)):
        return None
    if not (isinstance(quote, str) and isinstance(link, str)):
        return None
    is_alone = found.get("is_alone") is not False
    return Subject(Place(channel, ts, thread_ts), quote, link, is_alone=is_alone)


# -- the parts of the form


def _shown(quote: str) -> str:
    words = " ".join(quote.split())
    return escape(words if len(words) <= SHOWN else f"{words[:SHOWN]}…") or "(no text)"


def _question() -> Json:
    element = {
        "type": "plain_text_input",
        "action_id": QUESTION,
        "multiline": True,
        "max_length": LONGEST_WORDS,
        "focus_on_load": True,
    }
    return _input(QUESTION, "What do you want to know?", element) | {"optional": True}


def _task(subject: Subject) -> Json:
    tasks = TASKS_ALONE if subject.is_alone else TASKS
    element = {
        "type": "static_select",
        "action_id": TASK,
        "placeholder": plain("Choose, if you like"),
        "options": [_option(name, words) for name, words in tasks.items()],
    }
    return _input(TASK, "Or ready-made", element) | {"optional": True}


def _where() -> Json:
    options = [
        _option("privately", "To me alone, in our direct messages"),
        _option("thread", "In the thread, where everybody reads it"),
    ]
    element = {
        "type": "radio_buttons",
        "action_id": WHERE,
        "options": options,
        "initial_option": options[0],
    }
    return _input(WHERE, "Where shall I answer?", element)


def _input(block_id: str, label: str, element: Json) -> Json:
    return {"type": "input", "block_id": block_id, "label": plain(label), "element": element}


def _option(value: str, text: str) -> Json:
    return {"text": plain(text), "value": value}
