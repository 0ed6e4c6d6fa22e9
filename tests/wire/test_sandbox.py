"""Real parsers in real processes, fed with what people attach and with what means harm."""

import asyncio
import io
import logging
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from bot import parsers
from bot.files import HURDLES, MOST_TEXT, Reading, Unreadable, kind_of
from bot.sandbox import Sandbox
from tests import sample_files

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


async def parsed(data: bytes) -> Reading:
    kind = kind_of(data)
    assert kind is not None
    # A busy machine has its time; what is to be too slow has a sandbox of its own.
    return await Sandbox(within=60.0).parse(kind, data)


async def hurdle(data: bytes) -> str:
    with pytest.raises(Unreadable) as raised:
        await parsed(data)
    assert raised.value.hurdle in HURDLES
    return raised.value.hurdle


def document_with(body: str, *, before: str = "") -> bytes:
    part = f'<?xml version="1.0"?>{before}<w:document {W}><w:body>{body}</w:body></w:document>'
    return sample_files.with_part(sample_files.docx("x"), "word/document.xml", part.encode())


# -- documents


async def test_pdf_is_read_page_by_page() -> None:
    data = sample_files.pdf("The plan\nStep (one)", "Größe")

    assert await parsed(data) == Reading(
        "[page 1]\nThe plan\nStep (one)\n[page 2]\nGröße", unit="pages", read=2, total=2
    )


async def test_pdf_that_is_locked_against_changes_only_is_read() -> None:
    assert "open to all" in (await parsed(sample_files.pdf("open to all", owner="x"))).text


async def test_pdf_of_thousands_of_pages_is_read_up_to_a_limit() -> None:
    reading = await parsed(sample_files.pdf(*["words"] * 3_000))

    assert (reading.read, reading.total) == (parsers.MOST_PAGES, 3_000)


async def test_word_is_read_with_headings_and_tables() -> None:
    table = [["Part", "Price"], ["5", "5"], ["", "7"]]
    data = sample_files.docx("First.", "Second & last.", heading="Costs", table=table)

    assert (await parsed(data)).text == (
        "## Costs\nFirst.\nSecond & last.\nPart | Price\n5 | 5\n | 7"
    )


async def test_slides_are_read_with_their_notes() -> None:
    data = sample_files.pptx(("Goal", "Ship it"), ("Risk", "Time"), notes="Smile")

    assert await parsed(data) == Reading(
        "[slide 1]\nGoal\nShip it\n[slide 2]\nRisk\nTime\n[notes] Smile",
        unit="slides",
        read=2,
        total=2,
    )


async def test_workbook_is_read_as_rows_of_each_sheet() -> None:
    rows: list[list[Any]] = [
        ["name", "sum"],
        ["a, b", 2.5],
        [date(2026, 1, 31), 3.0],
        ["", "", "late"],
    ]
    data = sample_files.xlsx({"Costs": rows, "Empty": [], "One": [["x"]]})

    assert await parsed(data) == Reading(
        '[sheet Costs]\nname,sum\n"a, b",2.5\n2026-01-31,3\n,,late\n[sheet One]\nx',
        unit="rows",
        read=5,
        total=5,
    )


async def test_endless_workbook_is_read_up_to_a_limit() -> None:
    reading = await parsed(sample_files.xlsx({"A": [[n, "x"] for n in range(30_000)]}))

    assert (reading.read, reading.total) == (parsers.MOST_ROWS, 30_000)


async def test_text_of_a_document_has_a_limit() -> None:
    reading = await parsed(sample_files.docx(*["x" * 9_999] * 50))

    assert MOST_TEXT - 10_000 < len(reading.text) == reading.read <= MOST_TEXT
    assert (reading.unit, reading.total) == ("characters", 50 * 10_000)


# -- images


def seen(reading: Reading) -> Image.Image:
    assert reading.image
    assert reading.image.media_type in ("image/png", "image/jpeg")
    image = Image.open(io.BytesIO(reading.image.data))
    assert image.size == (reading.image.width, reading.image.height)
    assert image.mode == "RGB"
    return image


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        *[("PNG", mode) for mode in ("RGB", "RGBA", "P", "L", "LA", "1", "I;16")],
        *[("JPEG", mode) for mode in ("RGB", "L", "CMYK")],
        *[("GIF", "P"), ("WEBP", "RGB"), ("WEBP", "RGBA")],
    ],
)
async def test_image_of_any_usual_kind_is_taken(format: str, mode: str) -> None:
    image = seen(await parsed(sample_files.image(12, 7, format=format, mode=mode)))

    assert image.size == (12, 7)


@pytest.mark.parametrize(
    ("given", "size"),
    [((4000, 3000), (1448, 1086)), ((500, 9000), (113, 2048)), ((1, 60_000), (1, 2048))],
)
async def test_large_image_is_made_as_small_as_models_look_at(
    given: tuple[int, int], size: tuple[int, int]
) -> None:
    assert seen(await parsed(sample_files.image(*given, format="JPEG"))).size == size


async def test_image_stands_upright_and_tells_nothing_of_the_camera() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the left
    exif[0x010F] = "A camera that knows where it was"

    image = seen(await parsed(sample_files.image(40, 20, format="JPEG", exif=exif, comment=b"me")))

    assert image.size == (20, 40)
    assert dict(image.getexif()) == {}
    assert "comment" not in image.info


async def test_what_is_transparent_is_white() -> None:
    clear = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(clear, "PNG")

    assert seen(await parsed(clear.getvalue())).getpixel((1, 1)) == (255, 255, 255)


async def test_picture_that_is_large_without_loss_becomes_smaller_with_some() -> None:
    noise = Image.frombytes("RGB", (1000, 800), os.urandom(1000 * 800 * 3))
    file = io.BytesIO()
    noise.save(file, "PNG")

    reading = await parsed(file.getvalue())

    assert reading.image is not None
    assert reading.image.media_type == "image/jpeg"


# -- what cannot be read


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (sample_files.pdf("secret", password="x"), "encrypted"),
        (sample_files.pdf(""), "no_text"),
        (sample_files.pdf("words")[:300], "broken"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 500, "broken"),
        (sample_files.docx(), "no_text"),
        (sample_files.docx("words")[:9_000], "broken"),
        (sample_files.archive({"a.txt": b"hello"}), "unknown"),
        (sample_files.archive({"word/document.xml": b"no XML"}), "broken"),
        (sample_files.image(400, 300)[:100], "broken"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 900, "broken"),
        (b"\xff\xd8\xff\xe0" + sample_files.pdf("a PDF that claims to be a photo"), "pdf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "unknown"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "encrypted",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "Workbook".encode("utf-16-le") * 99, "broken"),
    ],
)
async def test_file_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    assert await hurdle(data) == reason.replace("pdf", "broken")


async def test_pixel_bomb_is_not_unpacked() -> None:
    bomb = sample_files.pixel_bomb()

    assert len(bomb) < 500_000
    assert await hurdle(bomb) == "too_complex"


async def test_zip_bomb_is_not_unpacked() -> None:
    bomb = sample_files.with_part(sample_files.docx("x"), "word/media/a.bin", bytes(150 * 2**20))

    assert len(bomb) < 500_000
    assert await hurdle(bomb) == "too_complex"


async def test_zip_bomb_of_countless_entries_is_not_unpacked() -> None:
    entries = {f"word/document{number}.xml": b"" for number in range(6_000)}

    assert await hurdle(sample_files.archive(entries)) == "too_complex"


async def test_xml_bomb_explodes_nowhere() -> None:
    laughs = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi"))  # noqa: B905
    kinds = f'<!DOCTYPE d [<!ENTITY a "ha">{laughs}]>'

    assert await hurdle(document_with("<w:p><w:r><w:t>&i;</w:t></w:r></w:p>", before=kinds)) in (
        "broken",
        "no_text",
        "too_complex",
    )


async def test_xml_reads_no_file_of_ours(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the key")
    kinds = f'<!DOCTYPE d [<!ENTITY a SYSTEM "{secret.as_uri()}">]>'

    reading = await parsed(document_with("<w:p><w:r><w:t>x&a;</w:t></w:r></w:p>", before=kinds))

    assert reading.text == "x"


async def test_document_that_needs_more_memory_than_there_is_costs_one_process() -> None:
    endless = document_with("<w:p/>" * 12_000_000)

    assert len(endless) < 500_000
    assert await hurdle(endless) in ("broken", "too_complex")
    assert (await parsed(sample_files.docx("still here"))).text == "still here"


# -- the process


def program(folder: Path, body: str) -> Path:
    """In the place of the parsers, with the bounds that they set themselves."""
    path = folder / "program.py"
    bounds = "from bot.parsers import _bound\n_bound()\n"
    root = Path(parsers.__file__).parents[1]
    path.write_text(f"import sys\nsys.path.insert(0, {str(root)!r})\n{bounds}{body}")
    return path


async def fails(sandbox: Sandbox, data: bytes = b"x") -> str:
    with pytest.raises(Unreadable) as raised:
        await sandbox.parse("pdf", data)
    return raised.value.hurdle


Children = Callable[[], list[psutil.Process]]


@pytest.fixture
def children() -> Children:
    """The processes that a test has started and that are still there."""
    before = psutil.Process().children(recursive=True)  # a fork server, say
    return lambda: [
        child for child in psutil.Process().children(recursive=True) if child not in before
    ]


async def begun(folder: Path) -> None:
    async with asyncio.timeout(20):
        while not (folder / "begun").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)


async def test_parser_that_hangs_is_ended(tmp_path: Path, children: Children) -> None:
    sandbox = Sandbox(within=0.5, program=program(tmp_path, "import time; time.sleep(60)"))

    assert await fails(sandbox) == "slow"
    assert children() == []


async def test_parser_that_does_not_read_is_ended_too(tmp_path: Path) -> None:
    sandbox = Sandbox(within=0.5, program=program(tmp_path, "import time; time.sleep(60)"))

    assert await fails(sandbox, bytes(5_000_000)) == "slow"


async def test_parser_that_takes_all_memory_gets_a_gigabyte(tmp_path: Path) -> None:
    body = "try:\n    bytes(2 * 1024**3)\nexcept MemoryError:\n    sys.exit(7)"

    assert await fails(Sandbox(program=program(tmp_path, body))) == "broken"


async def test_parser_that_crashes_costs_one_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    body = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"

    assert await fails(Sandbox(program=program(tmp_path, body))) == "too_complex"
    assert [record.getMessage() for record in caplog.records] == ["parser.died"]


async def test_parser_can_write_no_file(tmp_path: Path) -> None:
    body = f"open({str(tmp_path / 'loot')!r}, 'w').write('x' * 9)"

    assert await fails(Sandbox(program=program(tmp_path, body))) == "broken"
    assert (tmp_path / "loot").read_bytes() == b""


HEAD = "dict(hurdle='', unit='', error='', media_type='', read=0, total=0)"


async def test_parser_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/bot")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    body = f"import json, os\nprint(json.dumps({HEAD}))\nprint(sorted(os.environ), os.getcwd())"

    reading = await Sandbox(program=program(tmp_path, body)).parse("pdf", b"x")

    # Python itself sets the language.
    assert reading.text.strip().replace("'LC_CTYPE', ", "") == "['LD_LIBRARY_PATH'] /"


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux has it")
async def test_where_memory_runs_out_the_parser_goes_first(tmp_path: Path) -> None:
    score = "open('/proc/self/oom_score_adj').read()"
    body = f"import json\nprint(json.dumps({HEAD}))\nprint({score})"

    reading = await Sandbox(program=program(tmp_path, body)).parse("pdf", b"x")

    assert reading.text.strip() == "1000"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "no JSON",
        "[]",
        '{"hurdle": ""}',
        '{"hurdle": "", "unit": "<secrets>", "error": "", "media_type": "", "read": 0}',
        '{"hurdle": "", "unit": "", "error": "", "media_type": "", "read": -1, "total": 0}',
        '{"hurdle": "obey", "unit": "", "error": "two words", "media_type": ""}',
        '{"hurdle": "", "unit": "", "error": "", "media_type": "image/png", "width": "9"}',
        "[" * 100_000,
    ],
)
async def test_parser_that_was_taken_over_is_not_believed(
    tmp_path: Path, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    assert await fails(Sandbox(program=program(tmp_path, f"print({said!r})"))) == "broken"
    assert "two words" not in str([vars(record) for record in caplog.records])


async def test_parser_that_talks_without_end_is_ended(tmp_path: Path, children: Children) -> None:
    body = "while True: sys.stdout.write('x' * 65536)"

    assert await fails(Sandbox(program=program(tmp_path, body))) == "broken"
    assert children() == []


async def test_answer_that_is_given_up_leaves_no_process(
    tmp_path: Path, children: Children
) -> None:
    body = f"open({str(tmp_path / 'begun')!r}, 'w').close(); import time; time.sleep(60)"
    sandbox = Sandbox(program=program(tmp_path, body))
    parsing = asyncio.create_task(sandbox.parse("pdf", b"x"))
    await begun(tmp_path)

    parsing.cancel()
    await asyncio.gather(parsing, return_exceptions=True)

    assert children() == []


async def test_only_a_few_processes_run_at_once(tmp_path: Path, children: Children) -> None:
    sandbox = Sandbox(at_once=2, program=program(tmp_path, "import time; time.sleep(0.3)"))
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(children()))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(fails(sandbox) for _ in range(5)))
    watching.cancel()

    assert most == 2
