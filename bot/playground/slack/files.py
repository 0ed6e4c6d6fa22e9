"""Files that people upload: kept in memory, and described as Slack describes them."""

import mimetypes
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

FileObject = dict[str, Any]

# Slack's own words for some kinds; of others the ending is the word
# (docs.slack.dev/reference/objects/file-object).
_FILETYPES: Mapping[str, str] = {
    "jpeg": "jpg",
    "js": "javascript",
    "md": "markdown",
    "py": "python",
    "txt": "text",
    "": "binary",
}
_MEDIA_TYPES: Mapping[str, str] = {"md": "text/markdown", "csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class Stored:
    described: FileObject
    data: bytes = field(repr=False)


def describe(
    id: str, name: str, data: bytes, *, user: str, team: str, host: str, media_type: str | None
) -> FileObject:
    """The file object of an upload; ``host`` is where it can be downloaded, ending in "/"."""
    ending = PurePosixPath(name).suffix.lstrip(".").lower()
    guessed = _MEDIA_TYPES.get(ending) or mimetypes.guess_type(name)[0]
    kind = media_type or guessed or "application/octet-stream"
    filetype = _FILETYPES.get(ending, ending)
    is_snippet = kind.startswith("text/")
    base, now = f"{host}files-pri/{team}-{id}", int(time.time())
    return {
        "id": id,
        "created": now,
        "timestamp": now,
        "name": name,
        "title": name,
        "mimetype": kind,
        "filetype": filetype,
        "pretty_type": filetype.upper(),
        "user": user,
        "user_team": team,
        "editable": is_snippet,
        "size": len(data),
        "mode": "snippet" if is_snippet else "hosted",
        "is_external": False,
        "external_type": "",
        "is_public": True,
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "url_private": f"{base}/{quote(name, safe='')}",
        "url_private_download": f"{base}/download/{quote(name, safe='')}",
        "permalink": f"https://local.slack.com/files/{user}/{id}/{quote(name, safe='')}",
        "has_rich_preview": False,
        "file_access": "visible",
    }
