"""What people attach on the page: taken in as bytes, and shown again where it is an image.

Nothing of it can run in the page: an image is served as the kind that its first bytes say, anything
else only to be saved.
"""

import io
from collections.abc import Callable

from aiohttp import web

from bot.playground.page.deeds import Refused
from bot.playground.slack.workspace import Workspace

LARGEST = 32 * 1024 * 1024  # bytes; more than the bot reads, so that one can see it say so

_SIGNS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}

# A person's id, a file's name and its bytes; the file's id.
Upload = Callable[[str, str, bytes], str]


class Uploads:
    def __init__(self, workspace: Workspace, upload: Upload) -> None:
        self._workspace = workspace
        self._upload = upload

    async def take(self, request: web.Request) -> web.Response:
        """``POST /upload?user=U0ANA&name=plan.pdf``"""
        if request.content_type != "application/octet-stream":
            raise Refused("Only application/octet-stream is understood.", status=415)
        data = bytearray()
        async for piece in request.content.iter_chunked(65536):
            data += piece
            if len(data) > LARGEST:
                raise Refused(f"A file may have {LARGEST // 1024**2} MiB.", status=413)
        name = request.query.get("name", "")[:255] or "file"
        id = self._upload(request.query.get("user", ""), name, bytes(data))
        return web.json_response({"id": id})

    async def serve(self, request: web.Request) -> web.Response:
        """``GET /files/F01001``"""
        stored = self._workspace.files.get(request.match_info["id"])
        if stored is None:
            raise Refused("This file is not kept any more.", status=404)
        kind = image_type(stored.data)
        headers = {} if kind else {"Content-Disposition": "attachment"}
        kind = kind or "application/octet-stream"
        return web.Response(body=io.BytesIO(stored.data), content_type=kind, headers=headers)


def image_type(data: bytes) -> str | None:
    """Of those that every browser shows, and that hold no script as SVG does."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for sign, kind in _SIGNS.items() if data.startswith(sign)), None)
