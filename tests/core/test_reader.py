"""Files read in parallel, within a time limit, and remembered; in virtual time."""

import asyncio
import logging
from collections.abc import Callable, Iterator

import pytest

from bot.errors import Unavailable
from bot.files import Kind, Reading, Unreadable
from bot.messages import File
from bot.reader import AT_ONCE, WITHIN, FileReader

A, B, C = (File(f"F{name}AA", f"{name}.txt", size=4) for name in "ABC")


class FakeSource:
    """Hands out bytes after some seconds, or raises what is put down for a file."""

    def __init__(self, seconds: float = 1.0, data: bytes = b"text") -> None:
        self.seconds = seconds
        self.data = data
        self.errors: dict[str, list[Exception]] = {}
        self.fetched: list[str] = []
        self.at_once = self.most_at_once = 0

    async def fetch(self, file: File) -> bytes:
        self.fetched.append(file.name)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        if errors := self.errors.get(file.name):
            raise errors.pop(0)
        return self.data


async def parse(kind: Kind, data: bytes) -> Reading:
    return Reading(f"a {kind} of {len(data)} bytes")


def told() -> tuple[list[str], Callable[[str], None]]:
    heard: list[str] = []
    return heard, heard.append


def nobody(_: str) -> None:
    """Nobody waits to hear which file is read."""


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """No name of a file, which is somebody's words, is ever logged."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    assert ".txt" not in f"{caplog.text} {fields}"


async def test_files_are_read_in_parallel() -> None:
    reader, began = FileReader(FakeSource().fetch, parse), asyncio.get_running_loop().time()

    readings = await reader.read([A, B, C], nobody)

    assert readings == {file.id: Reading("text") for file in (A, B, C)}
    assert asyncio.get_running_loop().time() - began == 1.0


async def test_only_a_few_files_are_in_memory_at_once() -> None:
    source = FakeSource()
    files = [File(f"F{number}AA", f"{number}.txt") for number in range(10)]

    await FileReader(source.fetch, parse).read(files, nobody)

    assert source.most_at_once == AT_ONCE


async def test_person_is_told_which_file_is_read() -> None:
    heard, tell = told()
    reader = FileReader(FakeSource().fetch, parse)

    await reader.read([A], tell)
    await reader.read([A, B, C], tell)
    await reader.read([A, B, C], tell)

    assert heard == ["A.txt", "2 files"]


async def test_file_is_fetched_once_also_when_it_is_asked_for_twice_at_once() -> None:
    source = FakeSource()
    reader = FileReader(source.fetch, parse)

    first, second = await asyncio.gather(reader.read([A], nobody), reader.read([A, B], nobody))
    third = await reader.read([A], nobody)

    assert first[A.id] == second[A.id] == third[A.id] == Reading("text")
    assert source.fetched == ["A.txt", "B.txt"]


async def test_text_that_was_edited_is_fetched_again() -> None:
    source = FakeSource()
    reader = FileReader(source.fetch, parse)

    await reader.read([A], nobody)
    await reader.read([File(A.id, A.name, size=9)], nobody)

    assert source.fetched == ["A.txt", "A.txt"]


async def test_what_is_remembered_has_a_limit_and_the_oldest_goes() -> None:
    source = FakeSource(data=b"x" * 1000)
    reader = FileReader(source.fetch, parse, memory=2 * Reading("x" * 1000).weight)

    for file in (A, B, A, C, A, B):
        await reader.read([file], nobody)

    assert source.fetched == ["A.txt", "B.txt", "C.txt", "B.txt"]


async def test_slow_file_does_not_hold_the_answer_up_and_is_there_the_next_time() -> None:
    source = FakeSource(seconds=WITHIN + 10)
    reader, began = FileReader(source.fetch, parse), asyncio.get_running_loop().time()

    first = await reader.read([A], nobody)
    waited = asyncio.get_running_loop().time() - began
    second = await reader.read([A], nobody)

    assert first == {A.id: Reading(hurdle="slow")}
    assert waited == WITHIN
    assert second == {A.id: Reading("text")}
    assert source.fetched == ["A.txt"]


async def test_download_that_fails_is_tried_again() -> None:
    source = FakeSource()
    source.errors["A.txt"] = [Unavailable("Slack", "file: HTTP 503")]

    assert await FileReader(source.fetch, parse).read([A], nobody) == {A.id: Reading("text")}


async def test_slack_that_is_away_is_told_of_and_asked_again_next_time() -> None:
    source = FakeSource(seconds=0.1)
    source.errors["A.txt"] = [Unavailable("Slack", "file: HTTP 503")] * 5
    reader = FileReader(source.fetch, parse)

    assert await reader.read([A], nobody) == {A.id: Reading(hurdle="unreachable")}
    assert await reader.read([A], nobody) == {A.id: Reading("text")}


@pytest.mark.parametrize(("hurdle", "times"), [("too_large", 1), ("no_scope", 2)])
async def test_only_what_lies_with_the_file_is_remembered_of_a_failure(
    hurdle: str, times: int
) -> None:
    source = FakeSource()
    source.errors["A.txt"] = [Unreadable(hurdle), Unreadable(hurdle)]
    reader = FileReader(source.fetch, parse)

    for _ in range(2):
        assert await reader.read([A], nobody) == {A.id: Reading(hurdle=hurdle)}

    assert len(source.fetched) == times


async def test_error_of_ours_costs_one_file_and_no_answer(log: pytest.LogCaptureFixture) -> None:
    source = FakeSource()
    source.errors["A.txt"] = [RuntimeError("about A.txt")]

    readings = await FileReader(source.fetch, parse).read([A, B], nobody)

    assert readings == {A.id: Reading(hurdle="broken"), B.id: Reading("text")}
    assert "file.broke" in log.text


async def test_what_is_no_plain_text_is_parsed() -> None:
    readings = await FileReader(FakeSource(data=b"%PDF-1.7").fetch, parse).read([A], nobody)

    assert readings == {A.id: Reading("a pdf of 8 bytes")}


async def test_file_of_an_unknown_kind_is_not_parsed() -> None:
    readings = await FileReader(FakeSource(data=bytes(9)).fetch, parse).read([A], nobody)

    assert readings == {A.id: Reading(hurdle="unknown")}


async def test_answer_that_is_given_up_leaves_the_file_to_others() -> None:
    reader = FileReader(FakeSource().fetch, parse)
    given_up = asyncio.create_task(reader.read([A], nobody))
    other = asyncio.create_task(reader.read([A], nobody))
    await asyncio.sleep(0.5)

    given_up.cancel()

    assert await other == {A.id: Reading("text")}


async def test_at_the_end_nothing_is_read_any_more() -> None:
    reader = FileReader(FakeSource(seconds=100).fetch, parse)
    await reader.read([A], nobody)

    await reader.close()

    assert asyncio.all_tasks() == {asyncio.current_task()}
