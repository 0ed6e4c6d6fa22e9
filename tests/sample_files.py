"""Real files made in memory: documents, images, and some that mean harm."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xlsxwriter
from docx import Document
from PIL import Image
from pptx import Presentation
from pypdf import PdfWriter


def pdf(*pages: str, password: str | None = None, owner: str | None = None) -> bytes:
    """One page for each text; with a ``password`` to open it, or an ``owner``'s for changes."""
    raw = _pdf(pages)
    if password is None and owner is None:
        return raw
    writer = PdfWriter(clone_from=io.BytesIO(raw))
    writer.encrypt(password or "", owner or "owner", algorithm="RC4-128")
    return _saved(writer.write)


def _pdf(pages: Sequence[str]) -> bytes:
    """By hand (ISO 32000-1, annex H.3): the library that reads them draws no text."""
    first = 4  # objects 1 to 3 are the catalogue, the page tree and the font
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for number, text in enumerate(pages):
        lines = text.replace("(", r"\(").replace(")", r"\)").split("\n")
        shown = " T* ".join(f"({line}) Tj" for line in lines)
        content = f"BT /F1 12 Tf 14 TL 50 750 Td {shown} ET".encode("cp1252")
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>"
            b"/Contents %d 0 R>>" % (first + 2 * number + 1),
            b"<</Length %d>>stream\n%b\nendstream" % (len(content), content),
        ]
    file = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj%b endobj\n" % (number, body)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(file)}\n%%EOF"
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    return bytes(file) + (head + table + end).encode()


def docx(*paragraphs: str, heading: str = "", table: Sequence[Sequence[str]] = ()) -> bytes:
    document = Document()
    if heading:
        document.add_heading(heading, level=2)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if table:
        made = document.add_table(rows=len(table), cols=len(table[0]))
        for row, cells in zip(made.rows, table, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.text = text
    return _saved(document.save)


def pptx(*slides: tuple[str, str], notes: str = "") -> bytes:
    """Of each slide its title and its text; ``notes`` go with the last."""
    presentation = Presentation()
    for title, text in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    if notes:
        slide.notes_slide.notes_text_frame.text = notes
    return _saved(presentation.save)


def xlsx(sheets: Mapping[str, Iterable[Sequence[Any]]]) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        date = book.add_format({"num_format": "yyyy-mm-dd"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    has_date = hasattr(value, "isoformat")
                    sheet.write(at, column, value, *([date] if has_date else []))
    return file.getvalue()


def image(
    width: int = 8, height: int = 6, *, format: str = "PNG", mode: str = "RGB", **options: Any
) -> bytes:
    return _saved(lambda file: Image.new(mode, (width, height), 9).save(file, format, **options))


def pixel_bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A PNG of 400 million pixels, in some 50 kB."""
    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def archive(entries: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return file.getvalue()


def with_part(document: bytes, name: str, part: bytes) -> bytes:
    """An office document in which one part is another."""
    with zipfile.ZipFile(io.BytesIO(document)) as packed:
        entries = {entry: packed.read(entry) for entry in packed.namelist()}
    return archive(entries | {name: part})


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _saved(save: Any) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()
