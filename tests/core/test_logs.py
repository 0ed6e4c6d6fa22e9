"""Log lines: one event, one line, nobody's words."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import logs


def line(name: str = "answer.finished", **fields: Any) -> str:
    record = logging.LogRecord("bot.x", logging.INFO, __file__, 1, "%s", (name,), None)
    record.fields = fields
    return logs.LineFormatter().format(record)


def words(**fields: Any) -> str:
    """The line without time and level."""
    return line(**fields).split(" ", 2)[2]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger without pytest's handlers, which come back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("bot")
    handlers, level = root.handlers, root.level
    root.handlers = []
    yield root
    root.handlers = handlers
    root.setLevel(level)
    ours.setLevel(logging.NOTSET)


# -- one line


def test_line_is_time_level_event_and_fields() -> None:
    text = line(channel="C1", seconds=2.1, input_tokens=100)

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO "
        r"answer\.finished channel=C1 seconds=2\.100 input_tokens=100",
        text,
    )


def test_unknown_is_a_dash() -> None:
    assert words(cached_tokens=None, output_tokens=0) == (
        "answer.finished cached_tokens=- output_tokens=0"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "''"),
        ("two words", "'two words'"),
        ("a\nb", r"'a\nb'"),
        ("a\u2028b", r"'a\u2028b'"),
        ("\x1b[31m", r"'\x1b[31m'"),
        (ValueError("no such\nthing"), r"'no such\nthing'"),
        ("Ünï", "Ünï"),
        (True, "True"),
    ],
)
def test_field_is_one_word_of_one_line(value: object, shown: str) -> None:
    assert words(reason=value) == f"answer.finished reason={shown}"


@given(value=st.text(max_size=20))
@settings(deadline=None, max_examples=100)
def test_no_value_begins_a_line_of_its_own(value: str) -> None:
    text = line(reason=value)

    assert len(text.splitlines()) == 1
    assert text.isprintable()


def test_librarys_message_stays_on_its_line() -> None:
    hostile = "lost\n2026-01-01T00:00:00.000Z INFO answer.finished channel=C1"
    record = logging.LogRecord("aiohttp", logging.WARNING, __file__, 1, "%s", (hostile,), None)

    assert len(logs.LineFormatter().format(record).splitlines()) == 1


def raised(logger: str) -> logging.LogRecord:
    """A record with a traceback."""
    try:
        raise ValueError("what somebody wrote")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    return logging.LogRecord(logger, logging.ERROR, __file__, 1, "broke", (), info)


def failed(logger: str) -> str:
    return logs.LineFormatter().format(raised(logger))


@pytest.mark.parametrize("logger", ["asyncio", "slack_sdk.bot", "botocore"])
def test_librarys_traceback_is_not_shown_but_its_place_is(logger: str) -> None:
    assert re.search(r"ERROR broke type=ValueError where=test_logs\.py:\d+$", failed(logger))


def test_our_own_traceback_follows_its_line() -> None:
    assert failed("bot.serve").splitlines()[1].startswith("Traceback")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a token xoxb-1-a.b is", "a token xoxb-*** is"),
        ("xoxp-1-a, xoxe.xoxp-2", "xoxp-***, xoxe.xoxp-***"),
        ("'xapp-1-A0-2-f'", "'xapp-***'"),
        ("key provided: sk-proj-1_2.", "key provided: sk-***"),
        (
            "url='wss://w.slack.com/?ticket=1-2&app_id=3'",
            "url='wss://w.slack.com/?ticket=***&app_id=3'",
        ),
        ("http://h/?api_key=1&TOKEN=2 x", "http://h/?api_key=***&TOKEN=*** x"),
        ("http://ana:hun@ter2@proxy:80/v1", "http://***@proxy:80/v1"),
        ("risk-free disk-full input_tokens=3 a@b.c", "risk-free disk-full input_tokens=3 a@b.c"),
    ],
)
@pytest.mark.parametrize("logger", ["bot.x", "slack_sdk.bot"])
def test_secrets_are_struck_out(logger: str, text: str, shown: str) -> None:
    record = logging.LogRecord(logger, logging.ERROR, __file__, 1, "%s", (text,), None)

    assert logs.LineFormatter().format(record).endswith(f" ERROR {shown}")


@pytest.mark.parametrize("formatter", [logs.LineFormatter, logs.JsonFormatter])
def test_configured_secrets_are_struck_out_whatever_their_form(
    formatter: type[logs.LineFormatter],
) -> None:
    record = logging.LogRecord("bot.x", logging.INFO, __file__, 1, "%s", ("call.failed",), None)
    record.fields = {"reason": "hunter2! hunter2!more\n"}

    shown = formatter(["hunter2!", "hunter2!more"]).format(record)

    assert "hunter2" not in shown
    assert shown.count("***") == 2


# -- one object, where LOG_FORMAT is json


def told(record: logging.LogRecord) -> dict[str, Any]:
    """What a line in JSON says, but for its time."""
    text = logs.JsonFormatter().format(record)
    assert len(text.splitlines()) == 1
    told: dict[str, Any] = json.loads(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    return told


def our_record(**fields: Any) -> logging.LogRecord:
    record = logging.LogRecord("bot.x", logging.INFO, __file__, 1, "%s", ("answer.finished",), None)
    record.fields = fields
    return record


def test_json_holds_the_event_and_its_fields_as_they_are() -> None:
    cost = Decimal("0.000125")
    record = our_record(channel="C1", seconds=2.125, tokens=3, cached=None, cost=cost, on=True)

    assert told(record) == {
        "level": "INFO",
        "logger": "bot.x",
        "event": "answer.finished",
        "channel": "C1",
        "seconds": 2.125,
        "tokens": 3,
        "cached": None,
        "cost": 0.000125,
        "on": True,
    }


@given(value=st.text(max_size=20) | st.floats() | st.decimals() | st.integers() | st.binary())
@settings(deadline=None, max_examples=200)
def test_json_is_one_object_on_one_line_whatever_the_values(value: Any) -> None:
    def no_such_number(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = logs.JsonFormatter().format(our_record(reason=value))

    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text, parse_constant=no_such_number)["event"] == "answer.finished"


def test_json_gives_what_a_library_says_an_event_name_too() -> None:
    record = logging.LogRecord("aiohttp", logging.WARNING, __file__, 1, "lost %s", ("it\n",), None)

    assert told(record) == {
        "level": "WARNING",
        "logger": "aiohttp",
        "event": "library.said",
        "message": "lost it\n",
    }


def test_json_keeps_our_own_traceback_in_its_object_and_a_librarys_out() -> None:
    assert told(raised("bot.serve"))["traceback"].startswith("Traceback")
    assert told(raised("asyncio")).keys() == {
        "level",
        "logger",
        "event",
        "message",
        "type",
        "where",
    }


def test_json_with_a_secret_before_a_quote_is_json_still() -> None:
    record = our_record(reason='{"key=hunter2"} xoxb-1-2"')

    assert told(record)["reason"] == '{"key=***"} xoxb-***"'


# -- events


def test_event_is_heard_at_whatever_level_the_log_is(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[str, Mapping[str, Any]]] = []
    with logs.heard_by(lambda name, fields: heard.append((name, fields))):
        logs.event(logging.getLogger("bot.x"), "slack.called", level=logging.DEBUG, method="m")
    logs.event(logging.getLogger("bot.x"), "slack.called", level=logging.DEBUG, method="n")

    assert heard == [("slack.called", {"method": "m"})]
    assert caplog.records == []


def test_who_hears_badly_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def hear(name: str, fields: Mapping[str, Any]) -> None:
        raise ValueError("what somebody wrote")

    with logs.heard_by(hear):
        logs.event(logging.getLogger("bot.x"), "answer.finished", level=logging.WARNING)

    assert [record.getMessage() for record in caplog.records] == [
        "listener.broke",
        "answer.finished",
    ]
    assert "somebody" not in str([vars(record) for record in caplog.records])


def test_event_carries_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="bot"):
        logs.event(logging.getLogger("bot.x"), "answer.finished", channel="C1", seconds=2.0)

    [record] = caplog.records
    assert record.getMessage() == "answer.finished"
    assert vars(record)["fields"] == {"channel": "C1", "seconds": 2.0}


def test_event_below_the_level_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="bot"):
        logs.event(logging.getLogger("bot.x"), "answer.finished")

    assert caplog.records == []


# -- where an error came from


def test_where_names_places_and_no_words() -> None:
    def fail() -> None:
        raise ValueError("what somebody wrote")

    try:
        fail()
    except ValueError as error:
        text = logs.where(error)

    assert re.fullmatch(r"test_logs\.py:\d+>test_logs\.py:\d+", text)


def test_where_of_an_error_that_was_never_raised_is_empty() -> None:
    assert logs.where(ValueError("x")) == ""


# -- which loggers speak


def test_libraries_stay_quiet_at_debug(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("DEBUG")
    logging.getLogger("slack_sdk.web").debug("what people wrote")
    logging.getLogger("openai").info("what people wrote")
    logs.event(logging.getLogger("bot.reply"), "post.sent", level=logging.DEBUG, ts="1.2")
    logging.getLogger("aiohttp").warning("trouble")

    shown = capsys.readouterr()
    assert [text.split(" ", 1)[1] for text in shown.err.splitlines()] == [
        "DEBUG post.sent ts=1.2",
        "WARNING trouble",
    ]
    assert shown.out == ""


def test_format_and_secrets_hold_for_all_loggers(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("INFO", form="json", secrets=["hunter2!"])
    logging.getLogger("aiohttp").warning("trouble with hunter2!")
    logs.event(logging.getLogger("bot.reply"), "post.sent", key="hunter2!")

    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["library.said", "post.sent"]
    assert lines[0]["message"] == "trouble with ***"
    assert lines[1]["key"] == "***"


def test_level_silences_our_own_events(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("ERROR")
    logs.event(logging.getLogger("bot.reply"), "post.sent", level=logging.WARNING)

    assert capsys.readouterr().err == ""


def test_last_words_are_a_line_like_any_other_though_the_log_is_locked(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler = logging.getLogger().handlers[0]
    handler.acquire()
    try:
        logs.last_words(logging.getLogger("bot.watchdog"), "loop.hangs", where="app.py:7")
    finally:
        handler.release()

    assert re.fullmatch(r"\S+Z CRITICAL loop\.hangs where=app\.py:7\n", capfd.readouterr().err)
