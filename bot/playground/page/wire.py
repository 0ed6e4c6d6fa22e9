"""What goes over the wire, as rows: events, Web API calls, requests to the model, the bot's log."""

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bot.playground.model import Request
from bot.playground.process import log_line
from bot.playground.slack.delivery import Connections, Delivery
from bot.playground.slack.webapi import Call

ROWS_KEPT = 1_000
SHOWN_OF_IMAGES = 60  # characters
NOTICEABLE = 0.1  # seconds; a shorter wait for a connection is not told

Json = dict[str, Any]
Parts = list[tuple[str, object]]


@dataclass(frozen=True)
class LogLine:
    """One line of the bot's standard error."""

    text: str


Source = Call | Delivery | Connections | Request | LogLine


@dataclass(frozen=True)
class Face:
    """What a row says of its source just now."""

    kind: str
    title: str
    about: str
    state: str
    tone: str  # "busy", "good", "bad" or "plain"


class Wire:
    """The newest rows. ``name`` makes a word for reading of a channel's or person's id.

    ``secrets`` never appear, neither in a row nor in its details.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        name: Callable[[str], str],
        secrets: Sequence[str],
    ) -> None:
        self._clock = clock
        self._name = name
        known = map(re.escape, filter(None, secrets))
        self._secret = re.compile("|".join([*known, *_SECRET_FORMS]))
        self._start = clock()
        self._numbers = itertools.count(1)
        self._sources: dict[int, tuple[float, Source]] = {}  # by the row's id, oldest first
        self._rows: dict[object, int] = {}  # the row of a source that may change

    def note(self, source: Source, *, key: object | None = None) -> int:
        """A source is new, or has changed; returns its row's id. ``key``: if not itself."""
        known = key if key is not None else source
        row = self._rows.get(known)
        if row is None:
            row = next(self._numbers)
            self._rows[known] = row  # in the order of the rows
            self._make_room()
        at, _ = self._sources.get(row, (self._clock() - self._start, None))
        self._sources[row] = (at, source)
        return row

    def rows(self, newest: int) -> list[Json]:
        return [row for id in list(self._sources)[-newest:] if (row := self.row(id))]

    def row(self, id: int) -> Json | None:
        """As the page shows it; None when it is too old to be kept."""
        if id not in self._sources:
            return None
        at, source = self._sources[id]
        face = self._face(source)
        return {
            "id": id,
            "at": round(at, 3),
            "kind": face.kind,
            "title": self._masked(face.title),
            "about": self._masked(face.about),
            "state": self._masked(face.state),
            "tone": face.tone,
        }

    def details(self, id: int) -> Json | None:
        """All that was sent and answered; None when the row is not kept any more."""
        if id not in self._sources:
            return None
        parts = _parts(self._sources[id][1])
        shown = [{"title": title, "text": self._masked(_text(value))} for title, value in parts]
        return {"parts": shown}

    def _make_room(self) -> None:
        if len(self._rows) > ROWS_KEPT:
            oldest = next(iter(self._rows))
            del self._sources[self._rows.pop(oldest)]

    def _masked(self, text: str) -> str:
        return self._secret.sub("***", text)

    def _face(self, source: Source) -> Face:
        match source:
            case Call():
                return self._of_call(source)
            case Delivery():
                return self._of_delivery(source)
            case Connections():
                return _of_connections(source)
            case Request():
                return _of_request(source)
            case LogLine():
                return _of_line(source)

    def _of_call(self, call: Call) -> Face:
        channel = str(call.args.get("channel") or call.args.get("channel_id") or "")
        about = self._name(channel) if channel else ""
        return Face("call", call.method, about, *_call_state(call))

    def _of_delivery(self, delivery: Delivery) -> Face:
        kind, title, channel, user = _subject(delivery.payload)
        about = ", ".join(self._name(id) for id in (channel, user) if id)
        return Face(kind, title, about, *_delivery_state(delivery))


# What has the form of a secret, and the one-time ticket in the address of a socket.
_SECRET_FORMS = (r"\b(?:xox[a-z]|xapp|sk)-[\w.-]+", r"(?<=ticket=)\w+")


def _subject(payload: Json) -> tuple[str, str, str, str]:
    """The kind of row, its title, the channel and the person of what goes to the app."""
    if "command" in payload:
        return "command", payload["command"], payload["channel_id"], payload["user_id"]
    if "event" in payload:
        event = payload["event"]
        title = ".".join(filter(None, [event["type"], event.get("subtype")]))
        return "event", title, str(event.get("channel", "")), str(event.get("user", ""))
    actions = [str(action.get("action_id", "")) for action in payload.get("actions", ())]
    title = " ".join([payload["type"], *actions])
    channel = payload.get("channel") or {}
    return "interaction", title, channel.get("id", ""), payload.get("user", {}).get("id", "")


def _delivery_state(delivery: Delivery) -> tuple[str, str]:
    times = f", sent {delivery.attempts} times" if delivery.attempts > 1 else ""
    if delivery.ack_seconds is not None:
        waited = delivery.connected_after
        first = f"waited {waited:.1f} s for a connection, " if waited >= NOTICEABLE else ""
        return f"{first}acked in {_ms(delivery.ack_seconds)}{times}", "good"
    if delivery.gave_up:
        return f"given up{times}", "bad"
    if not delivery.attempts:
        return "waiting for a connection", "busy"
    reason = f" ({delivery.reason})" if times else ""
    return f"waiting for the ack{times}{reason}", "bad" if times else "busy"


def _call_state(call: Call) -> tuple[str, str]:
    if call.answered is None:
        return "under way", "busy"
    took = f"in {_ms(call.answered - call.started)}"
    if call.status is None:
        return f"{call.fault.replace('_', ' ') or 'reset'} {took}", "bad"
    if call.retry_after is not None:
        return f"{call.status}, Retry-After {call.retry_after}", "bad"
    if not call.ok:
        return f"{call.status} {call.outcome} {took}", "bad"
    return f"{call.status} {took}", "good"


def _of_connections(connections: Connections) -> Face:
    count = connections.count
    state = f"{count} open" if count else "none is open"
    return Face("socket", "Socket Mode connections", "", state, "plain" if count else "bad")


def _of_request(request: Request) -> Face:
    model = str(request.body.get("model", ""))
    title = "POST /v1/chat/completions"
    return Face("model", title, model, *_request_state(request))


def _request_state(request: Request) -> tuple[str, str]:
    tokens = f"{request.tokens_sent} token{'s' if request.tokens_sent != 1 else ''}"
    if request.closed_at is None:
        return (f"streaming, {tokens}" if request.tokens_sent else "waiting"), "busy"
    if request.finished == "refused":
        return f"{request.status} refused", "bad"
    took = f"{request.closed_at - request.received_at:.1f} s"
    if request.finished == "complete":
        usage = request.generated
        return f"complete, {usage.prompt_tokens} + {usage.completion_tokens} tokens, {took}", "good"
    return f"{request.finished} after {tokens}, {took}", "bad"


def _of_line(line: LogLine) -> Face:
    level, rest = log_line(line.text)
    title, _, about = rest.partition(" ") if level else (rest, "", "")
    tone = "plain" if level in ("DEBUG", "INFO") else "bad"
    return Face("log", title, about, level.lower(), tone)


def _parts(source: Source) -> Parts:
    match source:
        case Call():
            return [("Arguments", dict(source.args)), ("Answer", source.answer or "None.")]
        case Delivery():
            answer = [("Sent with the ack", source.response)] if source.response else []
            return [("Payload", source.payload), *answer]
        case Connections():
            return [("Connections", f"{source.count} open.")]
        case Request():
            usage = [("Usage", msgspec.to_builtins(source.usage))] if source.usage else []
            return [("Request", _without_images(source.body)), *usage]
        case LogLine():
            return [("Line", source.text)]


def _without_images(node: Any) -> Any:
    """Images stand in a request as megabytes of letters; nobody reads more than how many."""
    if isinstance(node, dict):
        return {key: _without_images(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_images(value) for value in node]
    if isinstance(node, str) and node.startswith("data:") and len(node) > SHOWN_OF_IMAGES:
        return f"{node[:SHOWN_OF_IMAGES]}... ({len(node):,} characters)"
    return node


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
