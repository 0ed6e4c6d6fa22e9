"""Log lines: one constant event name, then fields. ``answer.finished channel=C1 seconds=2.1``

Whoever counts what happens hears the same events (`heard_by`).
"""

import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from math import isfinite
from pathlib import Path
from types import FrameType
from typing import Any, Literal

log = logging.getLogger(__name__)

Format = Literal["text", "json"]

# Hears an event's name and its fields, in the midst of what happens: microseconds are all it has.
Listener = Callable[[str, Mapping[str, Any]], None]

# The libraries' own messages can carry what people wrote (slack_sdk logs payloads at DEBUG, the
# OpenAI SDK whole requests), so LOG_LEVEL speaks to our loggers only.
LIBRARY_LEVEL = logging.WARNING

# The name under which a library's own words stand in JSON, where each line has one.
LIBRARY_EVENT = "library.said"

OURS = Path(__file__).parent

STDERR = 2  # its file descriptor

# Secrets by their form, as errors of libraries quote them: Slack's tokens and OpenAI's keys, the
# values of a URL's query (the address of a socket holds a ticket), a URL's user and password.
SECRETS = (
    (re.compile(r"\b(xox[a-z]|xapp|sk)-[\w.-]+", re.ASCII), r"\1-***"),
    (re.compile(r"((?:ticket|token|key|secret|password)=)[^\s&'\"]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"://[^\s/'\"]+@"), "://***@"),
)

_listeners: list[Listener] = []


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Logs one event. Fields hold ids, numbers and error codes, never anybody's words.

    Its name is a constant of the code, and stays: operators count by it.
    """
    for listener in _listeners:
        try:
            listener(name, fields)
        except Exception as error:  # what is counted must not hurt what happens
            _log_deafness(error)
    if logger.isEnabledFor(level):
        logger.log(level, "%s", name, extra={"fields": fields})


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """While the context lasts the listener hears each event, at whatever level the log is."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def broke(logger: logging.Logger, name: str, error: BaseException, **fields: Any) -> None:
    """Logs an unexpected error by its type and place: its message may quote anything.

    A database's own sentence ("database is locked") quotes nobody, and is kept.
    """
    reason = getattr(error, "orig", None)
    known = fields | ({"reason": reason} if reason else {})
    event(
        logger,
        name,
        level=logging.ERROR,
        type=type(error).__name__,
        where=where(error),
        **known,
    )


def _log_deafness(error: BaseException) -> None:
    fields = {"type": type(error).__name__, "where": where(error)}
    log.error("%s", "listener.broke", extra={"fields": fields})


def last_words(logger: logging.Logger, name: str, **fields: Any) -> None:
    """Writes one event past the logging module, whose locks a hung thread may hold."""
    level, extra = logging.CRITICAL, {"fields": fields}
    record = logger.makeRecord(logger.name, level, "", 0, name, (), None, extra=extra)
    formatters = (handler.formatter for handler in logging.getLogger().handlers)
    configured = (each for each in formatters if isinstance(each, LineFormatter))
    os.write(STDERR, f"{next(configured, LineFormatter()).format(record)}\n".encode())


def where(error: BaseException) -> str:
    """The way of an unexpected error, ours and the last steps, without its message."""
    return _steps(traceback.extract_tb(error.__traceback__))


def standing(frame: FrameType) -> str:
    """Where a thread is, in the same form."""
    return _steps(traceback.extract_stack(frame))


def _steps(frames: traceback.StackSummary) -> str:
    ours = [frame for frame in frames[:-3] if Path(frame.filename).is_relative_to(OURS)]
    steps = [*ours[-3:], *frames[-3:]]
    return ">".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in steps)


class LineFormatter(logging.Formatter):
    """``2026-01-31T12:00:00Z INFO answer.finished channel=C1 seconds=2.1``"""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """``secrets`` are struck out wherever they stand, whatever their form."""
        super().__init__()
        self._secrets = sorted(secrets, key=len, reverse=True)  # one may be part of another

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        error = record.exc_info[1] if record.exc_info else None
        if error and not _is_ours(record):  # a traceback ends in its message, which may quote
            fields = {"type": type(error).__name__, "where": where(error)}
        trace = record.exc_info and _is_ours(record) and self.formatException(record.exc_info)
        return self.line(record, fields, trace or "")

    def line(self, record: logging.LogRecord, fields: Mapping[str, Any], trace: str) -> str:
        message = record.getMessage()  # ours are event names, a library's may quote anything
        message = message if message.isprintable() else repr(message)
        line = " ".join(
            [self.formatTime(record), record.levelname, message]
            + [f"{name}={_value(value)}" for name, value in fields.items()]
        )
        return self.redacted(f"{line}\n{trace}" if trace else line)

    def redacted(self, text: str) -> str:
        for pattern, shown in SECRETS:
            text = pattern.sub(shown, text)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class JsonFormatter(LineFormatter):
    """``{"time": "2026-01-31T12:00:00Z", "level": "INFO", "event": "answer.finished", ...}``

    A line for each event, also where an error brings its traceback. What a library says is the
    ``message`` of the event `LIBRARY_EVENT`.
    """

    def line(self, record: logging.LogRecord, fields: Mapping[str, Any], trace: str) -> str:
        name = {"event": record.getMessage()}
        if not hasattr(record, "fields"):
            name = {"event": LIBRARY_EVENT, "message": record.getMessage()}
        head = {"time": self.formatTime(record), "level": record.levelname, "logger": record.name}
        told = head | name | dict(fields) | ({"traceback": trace} if trace else {})
        return json.dumps({name: self._plain(value) for name, value in told.items()})

    def _plain(self, value: Any) -> str | float | bool | None:
        """Numbers as numbers, but for those that JSON lacks."""
        if isinstance(value, Decimal) and value.is_finite():
            value = float(value)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float) and isfinite(value):
            return value
        return self.redacted(str(value))


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "bot"


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    # A field is one word, so that a hostile value cannot write a log line of its own.
    return text if text and text.isprintable() and " " not in text else repr(text)


FORMATTERS: Mapping[Format, type[LineFormatter]] = {"text": LineFormatter, "json": JsonFormatter}


def configure(level: str, *, form: Format = "text", secrets: Iterable[str] = ()) -> None:
    """Sends all logging to standard error, ours at ``level``, the libraries' at WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATTERS[form](secrets))
    logging.basicConfig(level=LIBRARY_LEVEL, handlers=[handler], force=True)
    logging.getLogger("bot").setLevel(level)
