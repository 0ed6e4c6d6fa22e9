"""Files that an app uploads: an address to send the bytes to, then a message that has them.

Facts are from docs.slack.dev/reference/methods/files.getUploadURLExternal and
files.completeUploadExternal.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.playground.slack.arguments import Args
from bot.playground.slack.content import composed, signed
from bot.playground.slack.errors import ApiError
from bot.playground.slack.places import check_ts, writable
from bot.playground.slack.workspace import BOT_USER_ID, Upload, Workspace

LARGEST_FILE = 1024 * 1024 * 1024  # bytes; Slack's own limit


def get_upload_url(workspace: Workspace, args: Args) -> dict[str, Any]:
    args.needs("filename", "length")
    length = args.number("length", 0)
    if not 0 < length <= LARGEST_FILE:
        raise ApiError("file_upload_size_restricted" if length > 0 else "invalid_arguments")
    file_id = f"F{secrets.token_hex(5).upper()}"
    workspace.uploads[file_id] = Upload(name=args.text("filename"), length=length)
    return {"ok": True, "upload_url": workspace.upload_url(file_id), "file_id": file_id}


def complete_upload(workspace: Workspace, args: Args) -> dict[str, Any]:
    """Shares the files in one message; they can be shared once."""
    files = args.json("files", error="invalid_arguments")
    if not isinstance(files, list) or not all(isinstance(each, dict) for each in files):
        raise ApiError("invalid_arguments")
    shared = [_shared(workspace, each) for each in files]
    if args.text("channel_id"):
        channel = writable(workspace, args.text("channel_id"))
        message = {**signed(workspace), "text": "", "files": shared, "subtype": "file_share"}
        if args.text("initial_comment"):
            message |= composed(Args({"text": args.text("initial_comment")}))
        if args.text("thread_ts"):
            check_ts(args.text("thread_ts"), "invalid_thread_ts")
            message["thread_ts"] = args.text("thread_ts")
        workspace.post(channel, message)
    return {"ok": True, "files": [{"id": each["id"], "title": each["title"]} for each in shared]}


def _shared(workspace: Workspace, named: dict[str, Any]) -> dict[str, Any]:
    upload = workspace.uploads.get(str(named.get("id")))
    if upload is None or upload.content is None or upload.is_shared:
        raise ApiError("file_not_found")
    upload.is_shared = True
    return {
        "id": named["id"],
        "name": upload.name,
        "title": str(named.get("title") or upload.name),
        "size": upload.length,
        "user": BOT_USER_ID,
    }


@dataclass(frozen=True, slots=True)
class Uploads:
    """Receives the bytes. Their address is the secret; no token is needed."""

    workspace: Workspace

    async def serve(self, request: web.Request) -> web.Response:
        upload = self.workspace.uploads.get(request.match_info["id"])
        if upload is None or upload.content is not None:
            return web.Response(status=404, text="no such upload")
        content = await request.read()
        if len(content) != upload.length:
            return web.Response(status=400, text="another length was announced")
        upload.content = content
        return web.Response(text=f"OK - {len(content)}")
