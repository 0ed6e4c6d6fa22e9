"""The Web API methods: what each one checks, changes and answers.

Facts are from docs.slack.dev/reference/methods, each on its method's page. Methods are plain
functions of a workspace and a call's arguments; they know no HTTP.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.playground.slack.arguments import Args
from bot.playground.slack.blocks import as_rich_text
from bot.playground.slack.content import (
    BOT_PROFILE,
    POST_TEXT,
    REPLACED,
    UPDATE_TEXT,
    composed,
    signed,
)
from bot.playground.slack.errors import ApiError
from bot.playground.slack.places import check_ts, own, readable, writable
from bot.playground.slack.streams import append_stream, is_streaming, start_stream, stop_stream
from bot.playground.slack.uploads import complete_upload, get_upload_url
from bot.playground.slack.views import open_view, publish_view, push_view, update_view
from bot.playground.slack.workspace import (
    BOT_ID,
    BOT_USER_ID,
    TEAM_ID,
    Change,
    Channel,
    Message,
    Person,
    Workspace,
)

Answer = dict[str, Any]

PAGE = (
    1000  # default and maximum of `limit` for internal apps (docs.slack.dev, conversations.replies)
)


@dataclass(frozen=True, slots=True)
class Method:
    """``scope`` is what the bot's token must have been granted; with ``per_kind`` it depends on
    the channel: ``history`` needs ``im:history`` in a DM and ``channels:history`` in a channel."""

    run: Callable[[Workspace, Args], Answer]
    scope: str | None = None
    per_kind: str | None = None

    def needed(self, workspace: Workspace, args: Args) -> str | None:
        """The scope that this call needs, if any."""
        if self.per_kind is None:
            return self.scope
        channel = workspace.find_channel(args.text("channel"))
        return f"{_FAMILIES[channel.kind]}:{self.per_kind}" if channel else None


_FAMILIES = {"channel": "channels", "private": "groups", "im": "im", "mpim": "mpim"}


def post_message(workspace: Workspace, args: Args) -> Answer:
    channel = writable(workspace, args.text("channel"))
    message = composed(args)
    thread_ts = args.text("thread_ts")
    if thread_ts:
        check_ts(thread_ts, "invalid_thread_ts")
        message["thread_ts"] = thread_ts
        if args.flag("reply_broadcast"):
            message["subtype"] = "thread_broadcast"
    message = workspace.post(channel, {**signed(workspace), **message})
    answer = {"ok": True, "channel": channel.id, "ts": message["ts"], "message": message}
    if len(args.text("text")) > POST_TEXT:
        answer["warning"] = "message_truncated"
    return answer


def update(workspace: Workspace, args: Args) -> Answer:
    channel = readable(workspace, args.text("channel"))
    old = own(channel, args.text("ts"), error="cant_update_message")
    if is_streaming(workspace, channel, old):
        raise ApiError("streaming_state_conflict")
    new = composed(args, most_text=UPDATE_TEXT, old=old)
    kept = {key: value for key, value in old.items() if key not in REPLACED}
    if "metadata" in old and "metadata" not in args:
        kept["metadata"] = old["metadata"]
    message = {**kept, **new}
    # "If blocks are used and a message is being updated, the edited flag will not be displayed":
    # docs.slack.dev, chat.update.
    if "text" in args and "blocks" not in message:
        message["edited"] = {"user": BOT_USER_ID, "ts": workspace.new_ts()}
    workspace.replace(channel, message)
    return {
        "ok": True,
        "channel": channel.id,
        "ts": message["ts"],
        "text": message["text"],
        "message": message,
    }


def delete(workspace: Workspace, args: Args) -> Answer:
    channel = readable(workspace, args.text("channel"))
    message = own(channel, args.text("ts"), error="cant_delete_message")
    workspace.streams.pop((channel.id, message["ts"]), None)
    workspace.remove(channel, message["ts"])
    return {"ok": True, "channel": channel.id, "ts": message["ts"]}


def post_ephemeral(workspace: Workspace, args: Args) -> Answer:
    channel = writable(workspace, args.text("channel"))
    reader = _person(workspace, args.text("user"))
    if reader.id not in channel.members:
        raise ApiError("user_not_in_channel")
    message = {**signed(workspace), **composed(args), "reader": reader.id}
    thread_ts = args.text("thread_ts")
    if thread_ts:
        message["thread_ts"] = thread_ts
    # "Ephemeral messages in threads are only shown if there is already an active thread":
    # docs.slack.dev, chat.postEphemeral.
    if not thread_ts or channel.threads.get(thread_ts):
        workspace.whisper(channel, message)
    return {"ok": True, "message_ts": message["ts"]}


def replies(workspace: Workspace, args: Args) -> Answer:
    channel = readable(workspace, args.text("channel"))
    root = channel.messages.get(args.text("ts"))
    if root is None:
        raise ApiError("thread_not_found")
    all_ts = list(channel.threads.get(root["ts"], ()))
    # The root comes first, whatever `oldest` says.
    return _page(workspace, channel, [root["ts"], *_within(all_ts, args)], args)


def history(workspace: Workspace, args: Args) -> Answer:
    channel = readable(workspace, args.text("channel"))
    newest_first = _within(list(channel.top), args)[::-1]
    return _page(workspace, channel, newest_first, args)


def channel_info(workspace: Workspace, args: Args) -> Answer:
    channel = readable(workspace, args.text("channel"), member=False)
    return {"ok": True, "channel": _channel_object(channel)}


def open_channel(workspace: Workspace, args: Args) -> Answer:
    """Only DMs with one person, and channels that are there already."""
    where = args.text("channel") or args.text("users")
    if not where:
        raise ApiError("users_list_not_supplied")
    channel = workspace.find_channel(where)
    if channel is None:
        raise ApiError("user_not_found" if "users" in args else "channel_not_found")
    return {"ok": True, "channel": {"id": channel.id}, "already_open": True, "no_op": True}


def user_info(workspace: Workspace, args: Args) -> Answer:
    return {"ok": True, "user": _person_object(_person(workspace, args.text("user")))}


def list_people(workspace: Workspace, args: Args) -> Answer:
    """All members of the workspace, page by page."""
    limit = args.number("limit", PAGE)
    members = [person for person in workspace.people.values() if person.team == TEAM_ID]
    start = args.number("cursor", 0)
    more = start + limit < len(members)
    return {
        "ok": True,
        "members": list(map(_person_object, members[start : start + limit])),
        "response_metadata": {"next_cursor": str(start + limit) if more else ""},
    }


def bot_info(workspace: Workspace, args: Args) -> Answer:
    if args.text("bot", BOT_ID) != BOT_ID:
        raise ApiError("bot_not_found")
    return {"ok": True, "bot": BOT_PROFILE}


def file_info(workspace: Workspace, args: Args) -> Answer:
    stored = workspace.files.get(args.text("file"))
    if stored is None:
        raise ApiError("file_not_found")
    return {"ok": True, "file": stored.described}


def react(workspace: Workspace, args: Args) -> Answer:
    channel, message, name = _reacted(workspace, args)
    if BOT_USER_ID in _reactors(message, name):
        raise ApiError("already_reacted")
    set_reaction(workspace, channel, message, name, [*_reactors(message, name), BOT_USER_ID])
    return {"ok": True}


def unreact(workspace: Workspace, args: Args) -> Answer:
    channel, message, name = _reacted(workspace, args)
    people = _reactors(message, name)
    if BOT_USER_ID not in people:
        raise ApiError("no_reaction")
    left = [person for person in people if person != BOT_USER_ID]
    set_reaction(workspace, channel, message, name, left)
    return {"ok": True}


def set_status(workspace: Workspace, args: Args) -> Answer:
    channel, thread_ts = _thread(workspace, args)
    loading = args.json("loading_messages", error="invalid_arguments") or ()
    workspace.set_status(channel, thread_ts, args.text("status"), map(str, loading))
    return {"ok": True}


def set_title(workspace: Workspace, args: Args) -> Answer:
    channel, thread_ts = _thread(workspace, args)
    args.needs("title")
    workspace.titles[channel.id, thread_ts] = args.text("title")
    workspace.changed(Change(kind="title", channel=channel.id, thread_ts=thread_ts))
    return {"ok": True}


def set_suggested_prompts(workspace: Workspace, args: Args) -> Answer:
    channel = readable(workspace, args.text("channel_id"))
    prompts = args.json("prompts", error="invalid_arguments")
    if not isinstance(prompts, list) or not 0 < len(prompts) <= 4:
        raise ApiError("invalid_arguments")
    thread_ts = args.text("thread_ts")
    shown = {"title": args.text("title"), "prompts": prompts}
    workspace.prompts[channel.id, thread_ts] = shown
    workspace.changed(Change(kind="prompts", channel=channel.id, thread_ts=thread_ts))
    return {"ok": True}


def set_session_status(workspace: Workspace, args: Args) -> Answer:
    channel, thread_ts = _thread(workspace, args)
    if args.text("status") not in ("active", "processing", "suspended", "closed"):
        raise ApiError("invalid_arguments")
    workspace.sessions[channel.id, thread_ts] = args.text("status")
    workspace.changed(Change(kind="status", channel=channel.id, thread_ts=thread_ts))
    return {"ok": True}


def test_auth(workspace: Workspace, args: Args) -> Answer:
    return {
        "ok": True,
        "url": "https://local.slack.com/",
        "team": "Local",
        "user": "bot",
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def permalink(workspace: Workspace, args: Args) -> Answer:
    channel = readable(workspace, args.text("channel"), member=False)
    ts = args.text("message_ts")
    message = channel.messages.get(ts)
    if message is None:
        raise ApiError("message_not_found")
    link = f"https://local.slack.com/archives/{channel.id}/p{ts.replace('.', '')}"
    root = message.get("thread_ts", ts)
    if root != ts:
        link += f"?thread_ts={root}&cid={channel.id}"
    return {"ok": True, "channel": channel.id, "permalink": link}


METHODS: Mapping[str, Method] = {
    "agents.sessions.rename": Method(set_title, "chat:write"),
    "agents.sessions.setStatus": Method(set_session_status, "chat:write"),
    "api.test": Method(lambda workspace, args: {"ok": True, "args": dict(args.values)}),
    "assistant.threads.setStatus": Method(set_status, "chat:write"),
    "assistant.threads.setSuggestedPrompts": Method(set_suggested_prompts, "assistant:write"),
    "assistant.threads.setTitle": Method(set_title, "assistant:write"),
    "auth.test": Method(test_auth),
    "bots.info": Method(bot_info, "users:read"),
    "chat.appendStream": Method(append_stream, "chat:write"),
    "chat.delete": Method(delete, "chat:write"),
    "chat.getPermalink": Method(permalink),
    "chat.postEphemeral": Method(post_ephemeral, "chat:write"),
    "chat.postMessage": Method(post_message, "chat:write"),
    "chat.startStream": Method(start_stream, "chat:write"),
    "chat.stopStream": Method(stop_stream, "chat:write"),
    "chat.update": Method(update, "chat:write"),
    "conversations.history": Method(history, per_kind="history"),
    "conversations.info": Method(channel_info, per_kind="read"),
    "conversations.open": Method(open_channel, "im:write"),
    "conversations.replies": Method(replies, per_kind="history"),
    "files.completeUploadExternal": Method(complete_upload, "files:write"),
    "files.getUploadURLExternal": Method(get_upload_url, "files:write"),
    "files.info": Method(file_info, "files:read"),
    "reactions.add": Method(react, "reactions:write"),
    "reactions.remove": Method(unreact, "reactions:write"),
    "users.info": Method(user_info, "users:read"),
    "users.list": Method(list_people, "users:read"),
    "views.open": Method(open_view),
    "views.publish": Method(publish_view),
    "views.push": Method(push_view),
    "views.update": Method(update_view),
}


def _person(workspace: Workspace, who: str) -> Person:
    person = workspace.people.get(who)
    if person is None:
        raise ApiError("user_not_found")
    return person


def _thread(workspace: Workspace, args: Args) -> tuple[Channel, str]:
    channel = readable(workspace, args.text("channel_id"))
    args.needs("thread_ts")
    check_ts(args.text("thread_ts"), "invalid_thread_ts")
    return channel, args.text("thread_ts")


def _reacted(workspace: Workspace, args: Args) -> tuple[Channel, Message, str]:
    channel = readable(workspace, args.text("channel"))
    message = channel.messages.get(args.text("timestamp"))
    if message is None:
        raise ApiError("message_not_found")
    if not re.fullmatch(r"[\w+'-]+(::skin-tone-[2-6])?", args.text("name")):
        raise ApiError("invalid_name")
    return channel, message, args.text("name")


def _reactors(message: Message, name: str) -> list[str]:
    reactions = message.get("reactions", ())
    return next((each["users"] for each in reactions if each["name"] == name), [])


def set_reaction(
    workspace: Workspace, channel: Channel, message: Message, name: str, people: list[str]
) -> None:
    """Let ``message`` carry the reaction of exactly these people; it is no edit."""
    others = [each for each in message.get("reactions", ()) if each["name"] != name]
    mine = [{"name": name, "users": people, "count": len(people)}] if people else []
    changed = {key: value for key, value in message.items() if key != "reactions"}
    if others or mine:
        changed["reactions"] = others + mine
    channel.messages[message["ts"]] = changed
    workspace.changed(Change(kind="update", channel=channel.id, ts=message["ts"]))


def _within(all_ts: list[str], args: Args) -> list[str]:
    """Those between ``oldest`` and ``latest``, which count only with ``inclusive``."""
    oldest, latest = args.text("oldest"), args.text("latest")
    if not oldest and not latest:
        return all_ts
    low = _seconds(oldest, "invalid_ts_oldest") if oldest else float("-inf")
    high = _seconds(latest, "invalid_ts_latest") if latest else float("inf")
    if args.flag("inclusive"):
        return [ts for ts in all_ts if low <= float(ts) <= high]
    return [ts for ts in all_ts if low < float(ts) < high]


def _seconds(ts: str, error: str) -> float:
    try:
        return float(ts)
    except ValueError:
        raise ApiError(error) from None


def _page(workspace: Workspace, channel: Channel, found: list[str], args: Args) -> Answer:
    limit = args.number("limit", PAGE)
    if limit < 1:
        raise ApiError("invalid_limit")
    start = _start(found, args.text("cursor"))
    end = start + min(limit, PAGE)
    answer: Answer = {
        "ok": True,
        "messages": _shown(workspace, channel, found[start:end], args),
        "has_more": end < len(found),
    }
    if end < len(found):
        cursor = base64.b64encode(f"next_ts:{found[end]}".encode()).decode()
        answer["response_metadata"] = {"next_cursor": cursor}
    return answer


def _start(found: list[str], cursor: str) -> int:
    """Where the page that ``cursor`` names begins; a message deleted meanwhile ends the list."""
    if not cursor:
        return 0
    try:
        ts = base64.b64decode(cursor, validate=True).decode().removeprefix("next_ts:")
        float(ts)
    except (ValueError, binascii.Error):
        raise ApiError("invalid_cursor") from None
    return found.index(ts) if ts in found else len(found)


def _shown(
    workspace: Workspace, channel: Channel, page: Iterable[str], args: Args
) -> list[Message]:
    with_metadata = args.flag("include_all_metadata")
    shown = []
    for ts in page:
        message = channel.messages[ts]
        if "metadata" in message and not with_metadata:
            message = {key: value for key, value in message.items() if key != "metadata"}
        if workspace.rich_text_blocks and "blocks" in message:
            message = {**message, "blocks": list(map(_as_rich_text, message["blocks"]))}
        if channel.threads.get(ts):
            message = {**message, **_thread_fields(channel, ts)}
        shown.append(message)
    return shown


def _as_rich_text(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] != "markdown":
        return block
    return {**as_rich_text(block["text"]), "block_id": block["block_id"]}


def _thread_fields(channel: Channel, root_ts: str) -> Message:
    answers = channel.replies(root_ts)
    people = list(dict.fromkeys(message.get("user", "") for message in answers))
    return {
        "thread_ts": root_ts,
        "reply_count": len(answers),
        "reply_users_count": len(people),
        "reply_users": people[:5],
        "latest_reply": answers[-1]["ts"],
        "is_locked": False,
        "subscribed": False,
    }


def _channel_object(channel: Channel) -> dict[str, Any]:
    described: dict[str, Any] = {
        "id": channel.id,
        "is_channel": channel.kind == "channel",
        "is_group": channel.kind == "private",
        "is_im": channel.kind == "im",
        "is_mpim": channel.kind == "mpim",
        "is_private": channel.kind != "channel",
        "is_archived": channel.is_archived,
        "context_team_id": TEAM_ID,
    }
    if channel.kind == "im":
        others = channel.members - {BOT_USER_ID}
        return {**described, "user": next(iter(others), BOT_USER_ID)}
    described["creator"] = channel.creator
    empty = {"value": "", "creator": "", "last_set": 0}
    names = {"name": channel.name, "name_normalized": channel.name}
    described["is_member"] = BOT_USER_ID in channel.members
    return {**described, **names, "topic": empty, "purpose": empty}


def _person_object(person: Person) -> dict[str, Any]:
    names = {"real_name": person.display_name, "display_name": person.display_name}
    return {
        "id": person.id,
        "team_id": person.team,
        "name": person.name,
        "deleted": False,
        "real_name": person.display_name,
        "tz": "Europe/London",
        "is_admin": person.is_admin,
        "is_owner": False,
        "is_restricted": person.is_guest,
        "is_ultra_restricted": False,
        "is_bot": person.is_bot,
        "is_app_user": False,
        "profile": {**names, "team": person.team},
    }
