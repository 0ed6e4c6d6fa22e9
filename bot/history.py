"""A Slack thread becomes `ChatMessage`s: who said what, in plain Markdown."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from bot.cut import join
from bot.files import Attached, as_text, files_of, image_line
from bot.gate import SPOKEN_SUBTYPES, text_of
from bot.messages import ChatMessage, File, Identity, Image, Question, plain_name
from bot.mrkdwn import as_shown, from_mrkdwn, mentioned
from bot.pings import undo_neutralise
from bot.rich_text import from_rich_text

SlackMessage = Mapping[str, Any]

# Marks this bot's replies in Slack's message metadata, so that they can be told from its notices.
REPLY_EVENT = "llm_reply"


# What one says in a thread: another's message, or the messages of one of the bot's answers.
Said = SlackMessage | list[SlackMessage]


class Conversation(Sequence[ChatMessage]):
    """Each message is converted when it is looked at: of a long thread only the end is.

    The content of one in which nothing can be read is empty.
    """

    def __init__(
        self,
        said: Sequence[Said],
        last: ChatMessage,
        names: Mapping[str, str],
        attached: Attached,
    ) -> None:
        self._said = said
        self._last = last
        self._names = names
        self._attached = attached

    def __len__(self) -> int:
        return len(self._said) + 1

    @overload
    def __getitem__(self, index: int) -> ChatMessage: ...

    @overload
    def __getitem__(self, index: slice) -> list[ChatMessage]: ...

    def __getitem__(self, index: int | slice) -> ChatMessage | list[ChatMessage]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return self._converted(self._said[place]) if place < len(self._said) else self._last

    def _converted(self, said: Said) -> ChatMessage:
        if isinstance(said, list):
            return ChatMessage("assistant", join(list(map(answer_text, said))))
        return _by_a_person(said, self._names, self._attached)


def chat_messages(
    thread: Iterable[SlackMessage],
    question: Question,
    bot: Identity,
    names: Mapping[str, str],
    attached: Attached | None = None,
) -> Conversation:
    """The thread up to the question, oldest first; the question itself is the last.

    An answer counts where its question does: it may have come when this one was asked already.
    Only this bot's own answers are ``assistant``; everybody else, other bots too, is a named
    ``user``. The several messages of one long answer become one, at the place of the first.
    ``attached`` holds what was read of the files.
    """
    names, attached = unique_names(names, bot), attached or Attached()
    said = _join_parts(_earlier(thread, question, bot), bot)
    asked = {"user": question.user, "text": question.text}
    words, images = _words(asked, names, question.files, attached)
    last = ChatMessage("user", f"{_speaker(asked, names)}: {words}", images)
    return Conversation(said, last, names, attached)


def files_in(thread: Iterable[SlackMessage], question: Question, bot: Identity) -> Attached:
    """The files of the question and of what others said before it, none of them read yet."""
    files = [*question.files]
    news = {file.id for file in files}
    is_news = True  # since the bot's last answer
    for message in reversed(_earlier(thread, question, bot)):
        if is_own(message, bot):
            is_news = is_news and reply_tag(message, bot) is None
            continue
        found = files_of(message)
        files += found
        news |= {file.id for file in found if is_news}
    return Attached.of(files, news=news)


def unique_names(names: Mapping[str, str], bot: Identity) -> dict[str, str]:
    """Names that can be told apart, by id, the bot's own among them: ``Ana (U123)``.

    Names that differ only in looks (case, accents, punctuation, width) count as the same. Names
    from here come through unchanged.
    """
    people = {
        user: plain_name(name.removesuffix(f" ({user})"))
        for user, name in names.items()
        if user != bot.user
    }
    own = plain_name(bot.name)
    taken = Counter(map(_bare, (own, *people.values())))
    unique = {
        user: f"{name} ({user})" if taken[_bare(name)] > 1 else name
        for user, name in people.items()
    }
    return {bot.user: own, **unique}


def people(thread: Iterable[SlackMessage], question: Question, bot: Identity) -> set[str]:
    """The ids of all who speak or are mentioned, so that their names can be looked up."""
    ids = {question.user} | mentioned(question.text)
    for message in thread:
        user = message.get("user")
        if isinstance(user, str) and not message.get("bot_id"):
            ids.add(user)
        ids |= mentioned(text_of(message))
    return ids - {bot.user}


def is_own(message: SlackMessage, bot: Identity) -> bool:
    """Slack sets these ids itself: no other app and no person can speak under them."""
    return message.get("bot_id") == bot.bot_id or message.get("user") == bot.user


def reply_tag(message: SlackMessage, bot: Identity) -> Mapping[str, Any] | None:
    """Which turn and part one of the bot's own messages belongs to; None for anything else.

    Metadata alone proves nothing (any app can write the same), so the author is checked too.
    """
    metadata = message.get("metadata")
    if not is_own(message, bot) or not isinstance(metadata, Mapping):
        return None
    payload = metadata.get("event_payload")
    if metadata.get("event_type") != REPLY_EVENT or not isinstance(payload, Mapping):
        return None
    return payload


def answer_text(message: SlackMessage) -> str:
    """The model's words in one of the bot's messages; "" where it holds only a notice.

    They stand in its markdown block, or in what Slack makes of it; notices stand in others.
    The message's ``text`` is a shortened copy for notifications, never the answer.
    """
    blocks = _blocks(message)
    plain = "".join(_plain_text(block) for block in blocks)
    found = [*map(_block_text, blocks), plain]
    return undo_neutralise("\n\n".join(text for text in found if text))


def notice_text(message: SlackMessage) -> str:
    """What the bot itself says beneath its words in one of its messages."""
    contexts = [block for block in _blocks(message) if block.get("type") == "context"]
    elements = [each for block in contexts for each in block.get("elements") or ()]
    said = [each.get("text") for each in elements if isinstance(each, Mapping)]
    return "\n".join(as_shown(text, names={}) for text in said if isinstance(text, str))


def _join_parts(thread: Sequence[SlackMessage], bot: Identity) -> list[Said]:
    """What people said, message by message, and what the bot answered, answer by answer; without
    what Slack only notes, and the bot's notices."""
    said: list[Said] = []
    answers: dict[str, list[SlackMessage]] = {}
    for message in thread:
        if not is_own(message, bot):
            if _is_spoken(message):
                said.append(message)
        elif any(map(_may_hold_words, _blocks(message))):
            tag = reply_tag(message, bot)
            parts = answers.setdefault(str(tag.get("turn")), []) if tag else []
            if not parts:
                said.append(parts)
            parts.append(message)
    return said


def _is_spoken(message: SlackMessage) -> bool:
    subtype = message.get("subtype")
    has_words = subtype in (*SPOKEN_SUBTYPES, "bot_message", "me_message")
    return has_words and bool(text_of(message).strip() or files_of(message))


def _earlier(
    thread: Iterable[SlackMessage], question: Question, bot: Identity
) -> list[SlackMessage]:
    return [message for message in thread if _asked(message, bot) < moment(question.ts)]


def _by_a_person(
    message: SlackMessage, names: Mapping[str, str], attached: Attached
) -> ChatMessage:
    """What another than this bot said."""
    words, images = _words(message, names, files_of(message), attached)
    return ChatMessage("user", f"{_speaker(message, names)}: {words}" if words else "", images)


def _speaker(message: SlackMessage, names: Mapping[str, str]) -> str:
    if message.get("bot_id"):
        profile = message.get("bot_profile")
        name = message.get("username") or (
            profile.get("name") if isinstance(profile, Mapping) else None
        )
        return f"{plain_name(str(name or 'an app'))} (app)"  # no person's name has brackets
    user = message.get("user")
    return names.get(user) or plain_name(user) if isinstance(user, str) else "somebody"


def _bare(name: str) -> str:
    """Only the letters and digits of a name, for comparison."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(c for c in letters if unicodedata.category(c)[0] in "LN").casefold()


def _words(
    message: SlackMessage, names: Mapping[str, str], files: Sequence[File], attached: Attached
) -> tuple[str, tuple[Image, ...]]:
    """The words of a message, then its files; the images themselves, which the words name."""
    paragraphs = [from_mrkdwn(text_of(message), names=names).strip()]
    images: list[Image] = []
    for file in files:
        reading = attached.reading(file)
        if reading.image:
            images.append(reading.image)
            paragraphs.append(image_line(file, len(images)))
        else:
            paragraphs.append(as_text(file, reading))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph), tuple(images)


def _block_text(block: Mapping[str, Any]) -> str:
    match block.get("type"):
        case "markdown":
            text = block.get("text")
            return text if isinstance(text, str) else ""
        case "rich_text":
            return from_rich_text(block)
        case _:
            return ""


def _may_hold_words(block: Mapping[str, Any]) -> bool:
    return block.get("type") in ("markdown", "rich_text") or bool(_plain_text(block))


def _plain_text(block: Mapping[str, Any]) -> str:
    """Of the sections that stand in for Markdown which Slack did not take."""
    text = block.get("text") if block.get("type") == "section" else None
    if not isinstance(text, Mapping) or text.get("type") != "plain_text":
        return ""
    return str(text.get("text", ""))


def _blocks(message: SlackMessage) -> list[Mapping[str, Any]]:
    blocks = message.get("blocks")
    found = blocks if isinstance(blocks, list) else []
    return [block for block in found if isinstance(block, Mapping)]


def _asked(message: SlackMessage, bot: Identity) -> tuple[int, int]:
    """When a message was written; of the bot's answers, the question."""
    tag = reply_tag(message, bot)
    turn = str(tag.get("turn")) if tag else ""
    return moment(turn.rpartition(":")[2]) if turn else _ts(message)


def _ts(message: SlackMessage) -> tuple[int, int]:
    return moment(str(message.get("ts", "")))


def moment(ts: str) -> tuple[int, int]:
    """Slack's ``ts`` as exact numbers: as a float its microseconds would be rounded away."""
    whole, _, fraction = ts.partition(".")
    if not (ts.isascii() and whole.isdigit()):
        return (0, 0)
    return (int(whole), int(fraction.ljust(6, "0")[:6]) if fraction.isdigit() else 0)
