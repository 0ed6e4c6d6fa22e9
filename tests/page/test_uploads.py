"""Files that people attach on the page: taken in, sent with a message, and shown again."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bot.playground.page import uploads
from bot.playground.page.deeds import MOST_FILES
from bot.playground.page.guard import HEADERS
from tests import sample_files
from tests.page.test_server import Stage, staged

PNG = sample_files.image(64, 48)
TROJAN = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as stage:
        yield stage


async def upload(
    stage: Stage,
    name: str = "cat.png",
    data: bytes = PNG,
    *,
    user: str = "U0ANA",
    kind: str = "application/octet-stream",
    origin: str = "",
) -> tuple[int, Any]:
    async with stage.http.post(
        f"{stage.page.address}upload",
        params={"user": user, "name": name},
        data=io.BytesIO(data),
        headers={"Content-Type": kind, "Origin": origin or stage.origin},
    ) as answer:
        return answer.status, await answer.json()


async def file_id(stage: Stage, *args: Any, **values: Any) -> str:
    status, answer = await upload(stage, *args, **values)
    assert status == 200, answer
    return str(answer["id"])


async def test_files_go_with_the_message_and_its_event(stage: Stage) -> None:
    ids = [await file_id(stage), await file_id(stage, "größe & co.txt", b"words")]

    ts = await stage.say("@Bot look", files=ids)

    message = stage.slack.message("C0GENERAL", ts)
    assert message["subtype"] == "file_share"
    assert [(file["name"], file["mimetype"], file["mode"]) for file in message["files"]] == [
        ("cat.png", "image/png", "hosted"),
        ("größe & co.txt", "text/plain", "snippet"),
    ]
    (delivery,) = stage.slack.deliveries
    assert delivery.payload["event"]["type"] == "app_mention"
    assert delivery.payload["event"]["files"] == message["files"]


async def test_file_alone_is_a_message(stage: Stage) -> None:
    ts = await stage.say("", files=[await file_id(stage)])

    assert stage.slack.message("C0GENERAL", ts)["text"] == ""


async def test_window_shows_names_sizes_and_where_the_picture_is(
    stage: Stage,
) -> None:
    ids = [await file_id(stage), await file_id(stage, "notes.txt", b"x" * 12_345)]

    async with stage.window() as window:
        ts = await stage.say("look", files=ids)
        shown = await window.until(lambda: window.message(ts))

    assert f"File: cat.png, {len(PNG)} bytes" in shown["html"]
    assert f'data-type="image" data-value="{ids[0]}"' in shown["html"]
    assert "File: notes.txt, 12.3 kB" in shown["html"]
    assert ids[1] not in shown["html"]


async def test_image_is_served_to_the_page_as_what_it_is(stage: Stage) -> None:
    id = await file_id(stage, "cat.svg", PNG)

    async with stage.http.get(f"{stage.page.address}files/{id}") as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        assert await answer.read() == PNG
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    ("name", "data"),
    [("cat.png", TROJAN), ("page.html", b"<script>alert(1)</script>"), ("a.js", b"alert(1)")],
)
async def test_what_could_run_is_only_ever_saved(
    stage: Stage,
    name: str,
    data: bytes,
) -> None:
    id = await file_id(stage, name, data)

    async with stage.http.get(f"{stage.page.address}files/{id}") as answer:
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_nobody_else_can_upload(stage: Stage) -> None:
    assert (await upload(stage, origin="https://evil.example"))[0] == 403
    assert (await upload(stage, kind="text/plain"))[0] == 415
    assert (await upload(stage, user="U0BOT"))[0] == 400
    assert (await upload(stage, user="U0NOBODY"))[0] == 404
    assert stage.slack.workspace.files == {}


async def test_file_that_is_too_large_is_refused_with_a_sentence(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploads, "LARGEST", 1024**2)

    assert await upload(stage, data=bytes(1024**2 + 1)) == (
        413,
        {"error": "A file may have 1 MiB."},
    )
    assert (await upload(stage, data=bytes(1024**2)))[0] == 200


async def test_only_what_one_has_uploaded_can_be_sent(stage: Stage) -> None:
    bens = await file_id(stage, user="U0BEN")
    wish = {"user": "U0ANA", "channel": "C0GENERAL", "text": "x"}
    gone = "One of the files is not kept any more."

    assert await stage.refused("say", **wish, files=[bens]) == gone
    assert await stage.refused("say", **wish, files=["F0NONE"]) == gone
    assert await stage.refused("say", **wish, files=["F"] * (MOST_FILES + 1)) == (
        f"A message may have {MOST_FILES} files."
    )


async def test_command_takes_no_files(stage: Stage) -> None:
    wish = {"user": "U0ANA", "channel": "C0GENERAL", "text": "/llm usage"}

    said = await stage.refused("say", **wish, files=[await file_id(stage)])

    assert said == "A command takes no files."


async def test_request_is_shown_without_the_letters_of_its_images(
    stage: Stage,
) -> None:
    url = "data:image/png;base64," + "A" * 9_000
    part = {"type": "image_url", "image_url": {"url": url}}
    words = {"type": "text", "text": "[[say Seen.]]"}
    body = {"model": "m", "messages": [{"role": "user", "content": [words, part]}]}
    async with stage.window() as window:
        async with stage.http.post(f"{stage.model.base_url}/chat/completions", json=body):
            pass
        (row,) = await window.until(lambda: window.rows("model"))

    async with stage.http.get(f"{stage.page.address}wire/{row['id']}") as answer:
        shown = json.dumps(await answer.json())

    assert "AAA... (9,022 characters)" in shown
    assert len(shown) < 2_000
