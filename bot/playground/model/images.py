"""Images among the parts of a message, as far as a stand-in sees them: kind, size and bytes."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from bot.playground.model.errors import Refusal, openai_error

_PATCH = 32  # pixels; a token each, as OpenAI's newer models count
_DATA_URL = re.compile(r"data:(image/(?:png|jpeg|gif|webp));base64,")
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # of JPEG, which tell its size


class Seen(msgspec.Struct, frozen=True):
    media_type: str
    size: int  # bytes
    width: int  # pixels; 0: its head does not tell
    height: int

    @property
    def tokens(self) -> int:
        return max(1, -(-self.width // _PATCH) * -(-self.height // _PATCH))

    def __str__(self) -> str:
        return f"{self.media_type}, {self.width} × {self.height} pixels, {self.size:,} bytes"


def images_of(message: Mapping[str, Any]) -> list[Seen]:
    """The images of one message; raises ``ValueError`` for what is none."""
    return [_seen(url) for url in _urls(message)]


def all_images(body: Mapping[str, Any]) -> list[Seen]:
    return [image for message in body["messages"] for image in images_of(message)]


def check_images(body: Mapping[str, Any], *, sees: bool) -> Refusal | None:
    """In OpenAI's words."""
    for index, message in enumerate(body["messages"]):
        if not sees and any(_urls(message)):
            text = "Invalid content type. image_url is only supported by certain models."
            return openai_error(400, text, param=f"messages.[{index}].content.[1].type")
        try:
            images_of(message)
        except ValueError:
            text = (
                "You uploaded an unsupported image. Please make sure your image has of one the "
                "following formats: ['png', 'jpeg', 'gif', 'webp']."
            )
            return openai_error(400, text, code="invalid_image_format")
    return None


def in_words(body: Mapping[str, Any]) -> str:
    """A line for each message that has images."""
    lines = []
    for message in body["messages"]:
        if found := images_of(message):
            lines.append(f"{message['role']}: {'; '.join(map(str, found))}")
    return "\n".join(lines) or "no images"


def _urls(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "image_url":
            url = part.get("image_url")
            yield str(url.get("url")) if isinstance(url, dict) else ""


def _seen(url: str) -> Seen:
    match = _DATA_URL.match(url)
    if match is None:
        raise ValueError("no image in the address itself")
    try:
        data = base64.b64decode(url[match.end() :], validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
    return Seen(match[1], len(data), *_size(match[1], data))


def _size(media_type: str, data: bytes) -> tuple[int, int]:
    try:
        if media_type == "image/png":
            width, height = struct.unpack_from(">II", data, 16)
        elif media_type == "image/jpeg":
            height, width = _jpeg_size(data)
        else:
            return (0, 0)
    except struct.error as error:
        raise ValueError("no such image") from error
    return (width, height)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """From its first frame; before it come segments that say how long they are."""
    at = 2
    while True:
        marker, length = struct.unpack_from(">xBH", data, at)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width
        at += 2 + length
