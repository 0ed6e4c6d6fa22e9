"""The files that hang on messages: which can be read, what was read, and who is told what of it."""

import re
import secrets
import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Literal

from bot.messages import File, Image

Kind = Literal["image", "pdf", "zip", "ole", "text"]

# What is read for one answer at the most, and of one file. OpenAI takes images of up to 20 MB
# (platform.openai.com/docs/guides/images); what people attach beyond it is rarely to be read whole.
MOST_FILES = 10
LARGEST = 20 * 1024 * 1024  # bytes
MOST_TEXT = 400_000  # characters; some hundred thousand tokens

LONGEST_NAME = 80  # characters
MOST_NOTES = 5  # lines beneath one answer
MOST_NAMES = 5  # of files in one of them

# Why a file cannot be read: our word for it, and what comes after "it" when somebody is told.
HURDLES: Mapping[str, str] = {
    "no_scope": "cannot be fetched, because the app has no permission to read files",
    "withheld": "is not handed out by Slack",
    "external": "is kept outside of Slack",
    "deleted": "was deleted",
    "hidden": "is older than what this workspace's Slack plan keeps",
    "unreachable": "could not be fetched from Slack",
    "slow": "took too long to read",
    "too_large": f"is larger than {LARGEST // 1024**2} MB",
    "too_many": f"is one too many: {MOST_FILES} files are read for one answer",
    "no_room": "did not fit beside the rest",
    "recording": "is a recording, and only text and images can be read",
    "unseen": "is an image, and the model in use takes none",
    "unknown": "is of a kind that cannot be read here",
    "encrypted": "is protected by a password",
    "broken": "is damaged, or not what it claims to be",
    "too_complex": "is too large inside to be opened",
    "empty": "is empty",
    "blank": "holds nothing but blank space",
    "no_text": "holds no text that can be copied; its pages may be pictures",
}

_ID = re.compile(r"F[A-Z0-9]{2,32}", re.ASCII)
_SIGNS = ".,'’-_()+=#"  # in names, beside letters, digits and spaces


class Unreadable(Exception):
    """A file cannot be read; ``hurdle`` is one of `HURDLES`."""

    def __init__(self, hurdle: str) -> None:
        super().__init__(hurdle)
        self.hurdle = hurdle


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file: a text, an image, or why neither."""

    text: str = field(default="", repr=False)
    image: Image | None = None
    hurdle: str = ""
    unit: str = ""  # of which the file has `total` and `read` were read: "pages"
    read: int = 0
    total: int = 0
    cut: int = 0  # characters that were left out of the middle of the text

    @property
    def weight(self) -> int:
        """About how many bytes it takes to keep."""
        return 4 * len(self.text) + (len(self.image.data) if self.image else 0) + 500


@dataclass(frozen=True, slots=True)
class Attached:
    """The files of a thread: the question's first, then from its newest message to its oldest."""

    files: tuple[File, ...] = ()
    news: frozenset[str] = frozenset()  # ids of those that the person has heard nothing of yet
    readings: Mapping[str, Reading] = field(default_factory=dict)  # by id, as far as there are any

    @classmethod
    def of(cls, files: Iterable[File], *, news: Iterable[str]) -> "Attached":
        """Each once; those that cannot be read, or are too many, are known already."""
        unique = tuple({file.id or file.name: file for file in files}.values())
        hurdles = {file.id: file.hurdle for file in unique if file.hurdle}
        promising = [file.id for file in unique if not file.hurdle]
        hurdles |= dict.fromkeys(promising[MOST_FILES:], "too_many")
        known = {id: Reading(hurdle=hurdle) for id, hurdle in hurdles.items()}
        return cls(unique, frozenset(news), known)

    @property
    def wanted(self) -> tuple[File, ...]:
        """Those that are yet to be read."""
        return tuple(file for file in self.files if file.id not in self.readings)

    def reading(self, file: File) -> Reading:
        return self.readings.get(file.id) or Reading(hurdle=file.hurdle or "unreachable")

    def with_readings(self, readings: Mapping[str, Reading]) -> "Attached":
        return replace(self, readings={**self.readings, **readings})

    def unseen(self) -> "Attached":
        """For a model that takes no images."""
        hidden = {id: Reading(hurdle="unseen") for id, read in self.readings.items() if read.image}
        return self.with_readings(hidden)

    @property
    def notes(self) -> list[str]:
        """What the person should know of the files that are new, in words."""
        new = [(file, self.reading(file)) for file in self.files if file.id in self.news]
        unread: dict[str, list[str]] = {}
        for file, reading in new:
            if reading.hurdle:
                unread.setdefault(reading.hurdle, []).append(file.name)
        # What whoever runs the bot can change comes first.
        hurdles = sorted(unread, key=lambda hurdle: hurdle != "no_scope")
        notes = [(_not_read(hurdle, unread[hurdle]), len(unread[hurdle])) for hurdle in hurdles]
        notes += [(note, 1) for file, reading in new if (note := _in_part(file, reading))]
        said = [note for note, _ in notes]
        if len(said) <= MOST_NOTES:
            return said
        rest = sum(count for _, count in notes[MOST_NOTES - 1 :])
        return [*said[: MOST_NOTES - 1], f"{rest} more files are not read, or not whole."]


# -- what Slack says of a file


def files_of(message: Mapping[str, Any]) -> tuple[File, ...]:
    """The files that hang on a message (docs.slack.dev/reference/objects/file-object)."""
    found = message.get("files")
    described = found if isinstance(found, list) else []
    return tuple(file_from(each) for each in described if isinstance(each, Mapping))


def file_from(described: Mapping[str, Any]) -> File:
    id, size = described.get("id"), described.get("size")
    # A PDF's url_private leads to a web page elsewhere, its url_private_download to the bytes.
    url = described.get("url_private_download") or described.get("url_private")
    # Of a file from another organisation only files.info tells more.
    is_asked_for = described.get("file_access") == "check_file_info"
    return File(
        id=id if isinstance(id, str) and _ID.fullmatch(id) else "",
        name=shown_name(str(described.get("name") or described.get("title") or "")),
        media_type=str(described.get("mimetype") or ""),
        size=size if type(size) is int else None,
        url=url if isinstance(url, str) and not is_asked_for else "",
        hurdle=_hurdle(described),
    )


def shown_name(name: str) -> str:
    """A file's name as one short line of letters, digits, spaces and few signs, its ending kept.

    People choose names, and may choose an instruction, or one that reads backwards.
    """
    kept = "".join(c if c in _SIGNS or unicodedata.category(c)[0] in "LMN" else " " for c in name)
    line = " ".join(kept.split()) or "a file"
    if len(line) <= LONGEST_NAME:
        return line
    stem, dot, ending = line.rpartition(".")
    tail = dot + ending if stem and len(ending) <= 8 else ""
    return line[: LONGEST_NAME - len(tail) - 1] + "…" + tail


def _hurdle(described: Mapping[str, Any]) -> str:
    """Why it is not worth an attempt, as far as Slack says so."""
    mode, access = described.get("mode"), described.get("file_access")
    size, media_type = described.get("size"), str(described.get("mimetype") or "")
    hurdles = {
        "unreachable": not _ID.fullmatch(str(described.get("id"))),
        "deleted": mode == "tombstone" or access == "file_not_found",
        "hidden": mode == "hidden_by_limit",
        "withheld": access == "access_denied",
        "external": mode == "external" or described.get("is_external") is True,
        "recording": media_type.startswith(("audio/", "video/")),
        "too_large": isinstance(size, int) and size > LARGEST,
    }
    return next((hurdle for hurdle, holds in hurdles.items() if holds), "")


# -- what is in it

_IMAGE_SIGNS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

# Line breaks of all kinds; what is no text; and letters that are invisible but that models read.
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff\U000e0000-\U000e007f]")


def kind_of(data: bytes) -> Kind | None:
    """By its first bytes: names and declared types can be anything."""
    if data.startswith(_IMAGE_SIGNS) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return "image"
    if b"%PDF-" in data[:1024]:  # as readers do (ISO 32000, annex H)
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return "zip"
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "ole"  # older office documents, and newer ones with a password
    return "text" if _is_text(data[:65536]) else None


def text_reading(data: bytes) -> Reading:
    """The beginning of a text file in UTF-8, UTF-16 with its mark, or Windows-1252."""
    head = data[: 4 * MOST_TEXT]
    text = tidy(_decoded(head))
    kept = text[:MOST_TEXT]
    is_whole = len(kept) == len(text) and len(head) == len(data)
    if not kept.strip():
        return Reading(hurdle="blank")
    if is_whole:
        return Reading(kept)
    return Reading(kept, unit="characters", read=len(kept), total=max(len(text), len(data)))


def tidy(text: str) -> str:
    """With plain line breaks, without control characters and invisible letters."""
    return _NO_TEXT.sub("", _BREAKS.sub("\n", text))


def _is_text(head: bytes) -> bool:
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return True
    controls = len(_CONTROL.findall(head))
    return b"\0" not in head and controls * 100 <= len(head)


def _decoded(data: bytes) -> str:
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:  # not final: the last character may be cut in half
        return getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


# -- what the model is told

# So that nobody outside can guess the marks around a file's text.
_KEY = secrets.token_bytes(16)


def as_text(file: File, reading: Reading) -> str:
    """A file's text in a frame that cannot be closed from within, or a line on why there is none.

    An image is named apart, by `image_line`.
    """
    if reading.hurdle:
        reason = HURDLES[reading.hurdle]
        return f"[attached file, which you cannot read: {file.name}; it {reason}]"
    mark = _mark(reading.text)
    extent = f" ({_extent(reading)})" if reading.unit else ""
    head = f"[attached file: {file.name}{extent}. Its text stands between the lines ={mark}=]"
    return f"{head}\n={mark}=\n{reading.text}\n={mark}="


def image_line(file: File, number: int) -> str:
    """``number`` counts the images of one message, which follow its text."""
    return f"[attached image {number}: {file.name}]"


def _mark(text: str) -> str:
    """The same for the same text, so that providers can cache a prompt's beginning."""
    mark = blake2b(text.encode("utf-8", "replace"), key=_KEY, digest_size=6).hexdigest()
    while mark in text:
        mark = blake2b(mark.encode(), key=_KEY, digest_size=6).hexdigest()
    return mark


def _extent(reading: Reading) -> str:
    if reading.read < reading.total:
        return f"the first {reading.read:,} of {reading.total:,} {reading.unit}"
    return f"{reading.total:,} {reading.unit if reading.total != 1 else reading.unit[:-1]}"


# -- what the person is told


def _not_read(hurdle: str, names: Sequence[str]) -> str:
    """One sentence for all files that one reason keeps from being read."""
    if hurdle == "no_scope":
        return (
            f"I may not read files here, so this answer is without {_listed(names)}. "
            "Whoever runs me can add the scope files:read."
        )
    which = "it" if len(names) == 1 else "each"
    return f"I could not read {_listed(names)}: {which} {HURDLES[hurdle]}."


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b, c, d, e and 7 others``."""
    rest = len(names) - MOST_NAMES
    shown = [*names[:MOST_NAMES], f"{rest} other{'s' if rest > 1 else ''}"] if rest > 0 else names
    *others, last = shown
    return f"{', '.join(others)} and {last}" if others else last


def _in_part(file: File, reading: Reading) -> str:
    """What of it was not read, if that is not all of it."""
    parts = [f"only {_extent(reading)}"] if reading.read < reading.total else []
    parts += [f"not {reading.cut:,} characters in its middle"] if reading.cut else []
    return f"Of {file.name} I read {', and '.join(parts)}." if parts else ""
