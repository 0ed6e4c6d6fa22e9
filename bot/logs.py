"""Log lines: one constant event name, then fields. ``answer.finished channel=C1 seconds=2.1``"""

import logging
import re
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

# The libraries' own messages can carry what people wrote (slack_sdk logs payloads at DEBUG, the
# OpenAI SDK whole requests), so LOG_LEVEL speaks to our loggers only.
LIBRARY_LEVEL = logging.WARNING

OURS = Path(__file__).parent

# Secrets by their form, as errors of libraries quote them: Slack's tokens and OpenAI's keys, the
# values of a URL's query (the address of a socket holds a ticket), a URL's user and password.
SECRETS = (
    (re.compile(r"\b(xox[a-z]|xapp|sk)-[\w.-]+", re.ASCII), r"\1-***"),
    (re.compile(r"((?:ticket|token|key|secret|password)=)[^\s&'\"]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"://[^\s/'\"]+@"), "://***@"),
)


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Logs one event. Fields hold ids, numbers and error codes, never anybody's words."""
    if logger.isEnabledFor(level):
        logger.log(level, "%s", name, extra={"fields": fields})


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


def where(error: BaseException) -> str:
    """The way of an unexpected error, ours and the last steps, without its message."""
    return _steps(traceback.extract_tb(error.__traceback__))


def standing(frame: FrameType) -> str:
    """Where a thread is, in the same form."""
    return _steps(traceback.extract_stack(frame))


def _steps(frames: traceback.StackSummary) -> str:
    ours = [frame for frame in frames[:-3] if Path(frame.filename).parent == OURS]
    steps = [*ours[-3:], *frames[-3:]]
    return ">".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in steps)


class LineFormatter(logging.Formatter):
    """``2026-01-31T12:00:00Z INFO answer.finished channel=C1 seconds=2.1``"""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        is_ours = record.name.partition(".")[0] == "bot"
        error = record.exc_info[1] if record.exc_info else None
        if error and not is_ours:  # a traceback ends in its message, which may quote anything
            fields = {"type": type(error).__name__, "where": where(error)}
        message = record.getMessage()  # ours are event names, a library's may quote anything
        message = message if message.isprintable() else repr(message)
        line = " ".join(
            [self.formatTime(record), record.levelname, message]
            + [f"{name}={_value(value)}" for name, value in fields.items()]
        )
        if record.exc_info and is_ours:
            line += "\n" + self.formatException(record.exc_info)
        return _redacted(line)


def _redacted(text: str) -> str:
    for secret, shown in SECRETS:
        text = secret.sub(shown, text)
    return text


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    # A field is one word, so that a hostile value cannot write a log line of its own.
    return text if text and text.isprintable() and " " not in text else repr(text)


def configure(level: str) -> None:
    """Sends all logging to standard error, ours at ``level``, the libraries' at WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=LIBRARY_LEVEL, handlers=[handler], force=True)
    logging.getLogger("bot").setLevel(level)
