"""Text streaming: chat.startStream, chat.appendStream and chat.stopStream.

Facts are from docs.slack.dev/reference/methods, each on its method's page; what the documentation
leaves out is as people found it in use, in the issues named here. A streamed message is kept as
any other, its text in a ``markdown`` block. Of task and plan chunks titles and states are kept.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bot.playground.slack.arguments import Args
from bot.playground.slack.blocks import MARKDOWN, check, visible_text
from bot.playground.slack.content import escaped, metadata_of, signed, with_ids
from bot.playground.slack.errors import ApiError
from bot.playground.slack.places import check_ts, own, readable, writable
from bot.playground.slack.workspace import TEAM_ID, Channel, Message, Streaming, Workspace

Answer = dict[str, Any]
Block = dict[str, Any]

# Seconds after which Slack ends a stream by itself (slackapi/python-slack-sdk#1859: "~5 minutes").
LONGEST_STREAM = 300.0

_STATUSES = ("active", "processing", "suspended", "closed")  # of a session, when a stream stops


def start_stream(workspace: Workspace, args: Args) -> Answer:
    channel = writable(workspace, args.text("channel"))
    thread_ts = args.text("thread_ts")
    if thread_ts:
        check_ts(thread_ts, "invalid_thread_ts")
    _check_recipient(workspace, channel, args)
    stream = Streaming(until=workspace.clock() + LONGEST_STREAM)
    message = {**signed(workspace), **_shown(_streamed(stream, [], args))}
    if thread_ts:
        message["thread_ts"] = thread_ts
    workspace.streams[channel.id, message["ts"]] = stream
    workspace.post(channel, message)
    workspace.sessions[_session(channel, message)] = "processing"
    return {"ok": True, "channel": channel.id, "ts": message["ts"]}


def append_stream(workspace: Workspace, args: Args) -> Answer:
    channel, message, stream = _running(workspace, args)
    if stream.is_stopped:
        raise ApiError("stopped_by_user")
    if not args.text("markdown_text") and "chunks" not in args:
        raise ApiError("no_text")
    blocks = _streamed(stream, message.get("blocks", []), args)
    workspace.replace(channel, {**message, **_shown(blocks)})
    return {"ok": True, "channel": channel.id, "ts": message["ts"]}


def stop_stream(workspace: Workspace, args: Args) -> Answer:
    """``blocks`` stand at the bottom, and are counted apart from those of the chunks."""
    channel, message, stream = _running(workspace, args)
    status = args.text("session_status", "active")
    if status not in _STATUSES:
        raise ApiError("invalid_arguments")
    blocks = _streamed(stream, message.get("blocks", []), args)
    at_the_bottom = args.json("blocks", error="invalid_blocks_format")
    finished = {**message, **_shown(blocks, check(at_the_bottom or []))}
    metadata = metadata_of(args)
    if metadata:
        finished["metadata"] = metadata
    _end(workspace, channel, message, status)
    workspace.replace(channel, finished)
    return {"ok": True, "channel": channel.id, "ts": message["ts"], "message": finished}


def is_streaming(workspace: Workspace, channel: Channel, message: Message) -> bool:
    """Whether it is under way; a stream that Slack ended by itself is over."""
    stream = workspace.streams.get((channel.id, message["ts"]))
    if stream is None:
        return False
    if workspace.clock() < stream.until:
        return True
    _end(workspace, channel, message, "active")
    return False


def _running(workspace: Workspace, args: Args) -> tuple[Channel, Message, Streaming]:
    channel = readable(workspace, args.text("channel"))
    message = own(channel, args.text("ts"), error="message_not_owned_by_app")
    if not is_streaming(workspace, channel, message):
        raise ApiError("message_not_in_streaming_state")
    return channel, message, workspace.streams[channel.id, message["ts"]]


def _end(workspace: Workspace, channel: Channel, message: Message, status: str) -> None:
    del workspace.streams[channel.id, message["ts"]]
    workspace.sessions[_session(channel, message)] = status


def _session(channel: Channel, message: Message) -> tuple[str, str]:
    return channel.id, message.get("thread_ts") or message["ts"]


def _check_recipient(workspace: Workspace, channel: Channel, args: Args) -> None:
    """ "Required when streaming to channels"; a DM has one recipient anyway."""
    if channel.kind == "im":
        return
    for name in ("recipient_team_id", "recipient_user_id"):
        if not args.text(name):
            raise ApiError(f"missing_{name}")
    known = args.text("recipient_user_id") in workspace.people
    if not known or args.text("recipient_team_id") != TEAM_ID:
        raise ApiError("user_not_found")


def _streamed(stream: Streaming, blocks: Iterable[Block], args: Args) -> list[Block]:
    """What the message shows after these and the text and chunks of a call.

    A stream keeps to the argument that it began with (vercel/chat#607, among others); how long it
    may grow is not documented, people met the limit at about 12,000 characters
    (CopilotKit/CopilotKit#6063).
    """
    grown = list(blocks)
    for mode in ("markdown_text", "chunks"):
        if not args.values.get(mode):
            continue
        if stream.mode not in ("", mode):
            raise ApiError("streaming_mode_mismatch")
        stream.mode = mode
    if args.text("markdown_text"):
        _write(grown, args.text("markdown_text"))
    for chunk in _chunks(args):
        _add(grown, chunk)
    if sum(len(block["text"]) for block in grown if block["type"] == "markdown") > MARKDOWN:
        raise ApiError("msg_too_long")
    return grown


def _chunks(args: Args) -> list[Mapping[str, Any]]:
    chunks = args.json("chunks", error="invalid_chunks") or []
    if not isinstance(chunks, list) or not all(isinstance(chunk, dict) for chunk in chunks):
        raise ApiError("invalid_chunks")
    return chunks


def _add(blocks: list[Block], chunk: Mapping[str, Any]) -> None:
    match chunk:
        case {"type": "markdown_text", "text": str(text)}:
            _write(blocks, text)
        case {"type": "task_update", "id": str(task_id), "title": str(title)}:
            status = chunk.get("status") or "pending"
            card = {"type": "task_card", "task_id": task_id, "title": title, "status": status}
            _put(blocks, card, key="task_id")
        case {"type": "plan_update", "title": str(title)}:
            _put(blocks, {"type": "plan", "title": title}, key="type")
        case {"type": "blocks", "blocks": list(more)}:
            blocks.extend(more)
        case _:
            raise ApiError("invalid_chunks")


def _write(blocks: list[Block], text: str) -> None:
    """Text goes on where text stands last."""
    if blocks and blocks[-1]["type"] == "markdown":
        blocks[-1] = {**blocks[-1], "text": blocks[-1]["text"] + text}
    elif text:
        blocks.append({"type": "markdown", "text": text})


def _put(blocks: list[Block], block: Block, *, key: str) -> None:
    """In the place of the one with the same ``key``, or at the end."""
    known = [each.get(key) for each in blocks]
    if block[key] in known:
        blocks[known.index(block[key])] = block
    else:
        blocks.append(block)


def _shown(blocks: list[Block], at_the_bottom: Iterable[Block] = ()) -> Message:
    """The fields of a message with these blocks; a stream may begin without any."""
    shown = with_ids(check(blocks)) + with_ids(list(at_the_bottom))
    text = escaped(visible_text({"blocks": shown}))
    return {"text": text, "blocks": shown} if shown else {"text": text}
