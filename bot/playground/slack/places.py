"""Where a call of the Web API acts: the channel and the message it names, or Slack's refusal."""

import re

from bot.playground.slack.errors import ApiError
from bot.playground.slack.workspace import BOT_ID, BOT_USER_ID, Channel, Message, Workspace

_TS = re.compile(r"\d{1,12}\.\d{1,6}")


def writable(workspace: Workspace, where: str) -> Channel:
    channel = readable(workspace, where)
    if channel.is_archived:
        raise ApiError("is_archived")
    return channel


def readable(workspace: Workspace, where: str, *, member: bool = True) -> Channel:
    channel = workspace.find_channel(where)
    inside = channel is not None and BOT_USER_ID in channel.members
    if channel is None or (channel.kind != "channel" and not inside):
        raise ApiError("channel_not_found")  # a private channel is not even admitted to exist
    if member and not inside:
        raise ApiError("not_in_channel")
    return channel


def own(channel: Channel, ts: str, *, error: str) -> Message:
    message = channel.messages.get(ts)
    if message is None:
        raise ApiError("message_not_found")
    if message.get("bot_id") != BOT_ID:
        raise ApiError(error)
    return message


def check_ts(ts: str, error: str) -> None:
    if not _TS.fullmatch(ts):
        message = f"[ERROR] {ts} is not a valid {error.removeprefix('invalid_')}"
        raise ApiError(error, response_metadata={"messages": [message]})
