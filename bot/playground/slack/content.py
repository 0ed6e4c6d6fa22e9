"""What a bot's message consists of: text, blocks, attachments, metadata, and what Slack refuses."""

import itertools
import re
from typing import Any

from bot.playground.slack.arguments import Args
from bot.playground.slack.blocks import MARKDOWN, check, visible_text
from bot.playground.slack.errors import ApiError
from bot.playground.slack.workspace import APP_ID, BOT_ID, BOT_USER_ID, TEAM_ID, Message, Workspace

POST_TEXT = 40_000  # characters; longer text is cut (docs.slack.dev, chat.postMessage)
UPDATE_TEXT = 4_000  # characters; longer text is msg_too_long (docs.slack.dev, chat.update)
REPLACED = ("text", "blocks", "metadata", "attachments")  # what an update changes
new_numbers = itertools.count(1)  # of blocks and views that come without an id

BOT_PROFILE = {
    "id": BOT_ID,
    "app_id": APP_ID,
    "user_id": BOT_USER_ID,
    "name": "Bot",
    "deleted": False,
    "icons": {},
    "team_id": TEAM_ID,
}


def signed(workspace: Workspace) -> Message:
    """The part that all messages of the bot share."""
    return {
        "type": "message",
        "user": BOT_USER_ID,
        "ts": workspace.new_ts(),
        "bot_id": BOT_ID,
        "app_id": APP_ID,
        "team": TEAM_ID,
        "bot_profile": BOT_PROFILE,
    }


def composed(args: Args, *, most_text: int | None = None, old: Message | None = None) -> Message:
    """``text``, ``blocks``, ``attachments`` and ``metadata`` as Slack stores them."""
    if most_text is not None and len(args.text("text")) > most_text:
        raise ApiError("msg_too_long")
    message: Message = {}
    blocks = _blocks(args)
    attachments = _attachments(args)
    if blocks:
        message["blocks"] = blocks
    if attachments:
        message["attachments"] = attachments
    elif old is not None and attachments is None and "attachments" in old:
        message["attachments"] = old["attachments"]
    metadata = metadata_of(args)
    if metadata:
        message["metadata"] = metadata
    if "text" not in args and blocks is None and old is not None:
        return _kept_content(args, message, old)
    if not args.text("text") and not blocks and not attachments:
        raise ApiError("no_text")
    text = args.text("text") or visible_text(message if blocks else {})
    message["text"] = escaped(text[:POST_TEXT])
    return message


def _kept_content(args: Args, message: Message, old: Message) -> Message:
    """An update without text and blocks keeps both; it must then change something else."""
    if "metadata" not in args and "attachments" not in args:
        raise ApiError("no_text")
    return {**{name: old[name] for name in ("text", "blocks") if name in old}, **message}


def _blocks(args: Args) -> list[dict[str, Any]] | None:
    """The blocks of a call, None when it names none."""
    markdown = args.text("markdown_text")
    if markdown:
        if "blocks" in args or args.text("text"):
            raise ApiError("markdown_text_conflict")
        if len(markdown) > MARKDOWN:
            raise ApiError("msg_too_long")
        return with_ids([{"type": "markdown", "text": markdown}])
    blocks = args.json("blocks", error="invalid_blocks_format")
    return None if blocks is None else with_ids(check(blocks))


def with_ids(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Slack names each block that has no name; in markdown blocks it ignores the one given."""
    return [
        block
        if block.get("block_id") and block["type"] != "markdown"
        else {**block, "block_id": f"b{next(new_numbers)}"}
        for block in blocks
    ]


def _attachments(args: Args) -> list[dict[str, Any]] | None:
    attachments = args.json("attachments", error="invalid_attachments")
    if attachments is None:
        return None
    if not isinstance(attachments, list) or not all(isinstance(a, dict) for a in attachments):
        raise ApiError("invalid_attachments")
    return attachments


def metadata_of(args: Args) -> dict[str, Any] | None:
    metadata = args.json("metadata", error="invalid_metadata_format")
    if metadata is None or metadata == {}:
        return None
    fits = isinstance(metadata, dict) and isinstance(metadata.get("event_type"), str)
    if not fits or not isinstance(metadata.get("event_payload"), dict):
        raise ApiError("invalid_metadata_format")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}


_BARE = re.compile(r"&(?!(?:amp|lt|gt);)|<(?!(?:[@#!]|https?:|mailto:)[^<>]*>)|(?<!\S)>")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str) -> str:
    """Text as Slack hands it back: ``&`` and ``<`` outside of its own <...> are entities."""
    return _BARE.sub(lambda match: _ENTITIES[match[0]], text)
