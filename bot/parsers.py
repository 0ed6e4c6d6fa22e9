"""What is in a file: a program that runs in a process of its own, ``parsers.py KIND MOST_TEXT``.

It reads the file from standard input, and writes one line of JSON and then the text or the image.
Parsers hang and explode on what strangers send, so the process bounds its own memory and CPU, has
no secret in its environment, and is ended from outside when it takes too long (`bot.sandbox`). It
imports nothing of the bot.
"""

import csv
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date, time, timedelta
from time import process_time
from typing import Any

MOST_MEMORY = 1024**3  # bytes of address space; the libraries alone map a quarter of it
MOST_CPU = 15  # seconds, after which the system ends the process
ENOUGH_CPU = 8.0  # seconds, after which what was read so far is handed over

MOST_PAGES = 200  # of a PDF
MOST_SLIDES = 300
MOST_ROWS = 20_000  # of all sheets of a workbook together
MOST_COLUMNS = 200

MOST_ENTRIES = 5_000  # in a zip archive
MOST_UNPACKED = 100 * 1024**2  # bytes of all its entries together

# Pixels. A phone's camera has 48 million; more is a bomb, or a map that no model can read.
MOST_PIXELS = 64_000_000
# What models look at: OpenAI's newer ones cover an image with at most 1,536 squares of 32 pixels,
# others scale it into 2,048 by 2,048 (platform.openai.com/docs/guides/images).
LONGEST_SIDE = 2_048
SEEN_PIXELS = 1_536 * 32 * 32
LARGEST_PNG = 1024**2  # bytes; beyond it JPEG is smaller and looks the same


class Unreadable(Exception):
    """With a word of `bot.files.HURDLES`."""


@dataclass(frozen=True)
class Found:
    payload: bytes = b""
    unit: str = ""  # of which the file has `total` and `read` were read
    read: int = 0
    total: int = 0
    width: int = 0  # of an image
    height: int = 0
    media_type: str = ""
    hurdle: str = ""
    error: str = ""  # the type of the parser's error, for the log

    def on_the_wire(self) -> bytes:
        head = {name: value for name, value in asdict(self).items() if name != "payload"}
        return json.dumps(head).encode() + b"\n" + self.payload


def main(kind: str, most_text: str) -> None:
    _bound()
    found = look(kind, sys.stdin.buffer.read(), most_text=int(most_text))
    sys.stdout.buffer.write(found.on_the_wire())


def look(kind: str, data: bytes, *, most_text: int) -> Found:
    """What is in it, or which hurdle there is."""
    try:
        return _READERS[kind](data, _Text(most_text))
    except Unreadable as error:
        return Found(hurdle=str(error))
    except (MemoryError, RecursionError) as error:
        return Found(hurdle="too_complex", error=type(error).__name__)
    except Exception as error:
        return Found(hurdle="broken", error=type(error).__name__)


def _bound() -> None:
    """What the system lets this process have, as far as it knows such bounds."""
    with suppress(AttributeError, OSError):
        os.nice(10)  # the bot itself comes first
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")  # and stays, where memory runs out (man proc_pid_oom_score_adj)
    try:
        import resource
    except ImportError:  # Windows
        return
    for name, most in (
        ("RLIMIT_AS", MOST_MEMORY),
        ("RLIMIT_CPU", MOST_CPU),
        ("RLIMIT_FSIZE", 0),  # it writes no file
        ("RLIMIT_CORE", 0),
    ):
        with suppress(AttributeError, ValueError, OSError):  # not on every system
            resource.setrlimit(getattr(resource, name), (most, most))


@dataclass
class _Text:
    """The text that grows while a document is read, up to a limit of characters or of time."""

    most: int
    parts: list[str] = field(default_factory=list)
    length: int = 0  # also of what no longer fitted

    @property
    def is_late(self) -> bool:
        return process_time() > ENOUGH_CPU

    @property
    def is_enough(self) -> bool:
        return self.length >= self.most or self.is_late

    def add(self, text: str) -> None:
        if text := text.rstrip():
            if self.length < self.most:
                self.parts.append(text[: self.most - self.length] + "\n")
            self.length += len(text) + 1

    def found(self, *, unit: str = "", read: int = 0, total: int = 0) -> Found:
        text = "".join(self.parts).strip("\n")
        if not text.strip():
            raise Unreadable("no_text")
        if not unit and self.length > self.most:
            unit, read, total = "characters", len(text), self.length
        return Found(text.encode("utf-8", "replace"), unit, read, total)


# -- PDF


def _pdf(data: bytes, text: _Text) -> Found:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, WrongPasswordError

    try:
        document = PdfReader(io.BytesIO(data))
        # Many are locked against changes only, with an empty password for reading.
        if document.is_encrypted and not document.decrypt(""):
            raise Unreadable("encrypted")
        total = len(document.pages)
        read = 0
        for page in document.pages[:MOST_PAGES]:
            words = _words_on(page)
            text.add(f"[page {read + 1}]\n{words}\n" if words else "")
            read += 1
            if text.is_enough:
                break
    except (DependencyError, FileNotDecryptedError, WrongPasswordError):
        raise Unreadable("encrypted") from None
    return text.found(unit="pages", read=read, total=total)


def _words_on(page: Any) -> str:
    """Of a page that is damaged nothing, so that the others can be read."""
    try:
        return str(page.extract_text()).strip()
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return ""


# -- office documents


def _zip(data: bytes, text: _Text) -> Found:
    """By the parts that it has, for each kind keeps its own in a folder of its own."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
    if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise Unreadable("too_complex")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Unreadable("encrypted")
    names = [entry.filename for entry in entries]
    for beginning, reader in (
        ("word/document", _document),
        ("xl/workbook", _workbook),
        ("ppt/presentation", _slides),
    ):
        if any(name.startswith(beginning) for name in names):
            return reader(data, text)
    if names[:1] == ["mimetype"] and b"opendocument.spreadsheet" in data[:200]:
        return _workbook(data, text)
    raise Unreadable("unknown")


def _ole(data: bytes, text: _Text) -> Found:
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise Unreadable("encrypted")
    if "Workbook".encode("utf-16-le") in data:
        return _workbook(data, text)
    raise Unreadable("unknown")  # .doc, .ppt, .msg


def _document(data: bytes, text: _Text) -> Found:
    from docx import Document
    from docx.table import Table
    from docx.text.paragraph import Paragraph

    def add(blocks: Iterable[Paragraph | Table]) -> None:
        for block in blocks:
            if text.is_late:
                return
            if isinstance(block, Table):
                for row in block.rows:
                    text.add(_line(_once(row.cells)))
            else:
                text.add(_heading(block) + block.text)

    def _heading(paragraph: Paragraph) -> str:
        name = (paragraph.style.name if paragraph.style else None) or ""
        level = name.removeprefix("Heading ")
        return f"\n{'#' * int(level)} " if name != level and level in "123456" else ""

    def _once(cells: Iterable[Any]) -> list[str]:
        """One that spans several columns comes several times."""
        return [cell.text for cell in {id(cell._tc): cell for cell in cells}.values()]

    add(Document(io.BytesIO(data)).iter_inner_content())
    return text.found()


def _slides(data: bytes, text: _Text) -> Found:
    from pptx import Presentation

    slides = Presentation(io.BytesIO(data)).slides
    read = 0
    for slide in slides:
        text.add(f"[slide {read + 1}]")
        for words in _said_on(slide.shapes):
            text.add(words)
        if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame):
            text.add(f"[notes] {notes.text}" if notes.text.strip() else "")
        read += 1
        if text.is_enough or read >= MOST_SLIDES:
            break
    return text.found(unit="slides", read=read, total=len(slides))


def _said_on(shapes: Iterable[Any]) -> Iterator[str]:
    """Of `Any`: the library's shapes share no type that has all of these."""
    for shape in shapes:
        if hasattr(shape, "shapes"):  # a group
            yield from _said_on(shape.shapes)
        elif shape.has_text_frame:
            yield shape.text_frame.text
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                yield _line(cell.text for cell in row.cells if not cell.is_spanned)


def _line(cells: Iterable[str]) -> str:
    """A row of a table."""
    return " | ".join(" ".join(cell.split()) for cell in cells)


def _workbook(data: bytes, text: _Text) -> Found:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        names = workbook.sheet_names
    except PasswordError:
        raise Unreadable("encrypted") from None
    read = total = 0
    for name in names:
        try:
            sheet = workbook.get_sheet_by_name(name)
        except CalamineError:  # a chart, for example
            continue
        rows = sheet.end[0] + 1 if sheet.end else 0
        total += rows
        if text.is_enough or read >= MOST_ROWS or not rows:
            continue
        text.add(f"[sheet {' '.join(name.split())}]")
        for row in sheet.to_python(skip_empty_area=False, nrows=MOST_ROWS - read):
            if text.is_enough:
                break
            text.add(_csv(row))
            read += 1
    return text.found(unit="rows", read=read, total=total)


def _csv(row: list[Any]) -> str:
    cells = [_cell(value) for value in row[:MOST_COLUMNS]]
    while cells and not cells[-1]:
        cells.pop()
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # all numbers are floats in these formats
    return str(value) if isinstance(value, date | time | timedelta) else str(value).strip()


# -- images


def _image(data: bytes, _: _Text) -> Found:
    """Upright, within what models look at, without what the camera noted of time and place."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # we look at the size ourselves
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as image:
        if image.width * image.height > MOST_PIXELS:
            raise Unreadable("too_complex")
        is_photo = image.format == "JPEG"
        size = _fitting(image.size)
        image.draft("RGB", size)  # JPEG: decoded smaller from the start
        is_clear = "transparency" in image.info or image.mode in ("LA", "PA", "RGBA")
        coloured = image.convert("RGBA" if is_clear else "RGB")
        small = coloured.resize(size, Image.Resampling.LANCZOS)
        upright = ImageOps.exif_transpose(small)
    shown = _on_white(upright) if is_clear else upright
    shown.info.clear()
    if not is_photo:
        png = _saved(shown, "PNG")
        if len(png.payload) <= LARGEST_PNG:
            return png
    return _saved(shown, "JPEG")


def _saved(image: Any, format: str) -> Found:
    file = io.BytesIO()
    image.save(file, format, quality=85)  # of which PNG knows nothing
    return Found(
        file.getvalue(),
        width=image.width,
        height=image.height,
        media_type=f"image/{format.lower()}",
    )


def _on_white(image: Any) -> Any:
    from PIL import Image

    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    scale = min(1.0, LONGEST_SIDE / max(size), (SEEN_PIXELS / (width * height)) ** 0.5)
    return max(1, int(width * scale)), max(1, int(height * scale))


_READERS: dict[str, Callable[[bytes, _Text], Found]] = {
    "image": _image,
    "pdf": _pdf,
    "zip": _zip,
    "ole": _ole,
}

if __name__ == "__main__":
    main(*sys.argv[1:3])
