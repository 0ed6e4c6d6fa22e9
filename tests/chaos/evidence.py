"""What can be seen of a run from outside: the screens, the calls, the prompts and the books."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bot.playground.model import Request
from bot.playground.slack import Call, Delivery, LocalSlack
from bot.playground.slack.blocks import visible_text
from bot.playground.slack.workspace import BOT_ID, TEAM_ID
from bot.views import MAY_BE_WRONG
from tests.bench.stage import said
from tests.chaos.plan import Question
from tests.chaos.records import Records

STREAMS = ("chat.startStream", "chat.appendStream", "chat.stopStream")
SHOWING = ("chat.postMessage", "chat.update", "chat.delete", *STREAMS)


@dataclass(frozen=True)
class Asked:
    """A question as it was asked. Times are in seconds of the local Slack's clock."""

    question: Question
    channel: str
    ts: str
    thread_ts: str
    at: float
    is_acked: bool = True
    is_given_up: bool = False  # Slack sends it no more

    @property
    def turn(self) -> str:
        """Its key, as the metadata of the reply spells it."""
        return f"{TEAM_ID}:{self.channel}:{self.ts}"


@dataclass(frozen=True)
class Standing:
    """A message of the bot as it stands in the end."""

    channel: str
    thread_ts: str
    ts: str
    turn: str  # "": it has no metadata of a reply
    part: int
    is_last: bool
    text: str  # the model's words
    notice: str = ""  # the bot's own


@dataclass(frozen=True)
class Showing:
    """A call that posts, changes or deletes a message of a reply."""

    method: str
    turn: str
    part: int
    is_last: bool
    words: int  # of the model's, in it
    notice: str
    started: float
    answered: float | None
    outcome: str
    fault: str
    has_effect: bool


@dataclass(frozen=True)
class Evidence:
    asked: Sequence[Asked]  # in the order in which they were
    standing: Sequence[Standing]  # oldest first, place by place
    showings: Mapping[str, Sequence[Showing]]  # by turn, in the order of their arrival
    # By the question's number, the bot's earlier answers that its last whole answer was based on.
    histories: Mapping[int, Sequence[str]]
    records: Records


def number_in(text: str) -> int | None:
    """Of the question that this is, as `Question.mark` writes it."""
    found = re.search(r"\bq(\d+):", text)
    return int(found[1]) if found else None


def gather(
    slack: LocalSlack,
    requests: Sequence[Request],
    asked: Sequence[tuple[Asked, Delivery]],
    records: Records,
) -> Evidence:
    return Evidence(
        asked=[_with_delivery(each, delivery) for each, delivery in asked],
        standing=list(_standing(slack)),
        showings=_showings(slack.calls),
        histories=_histories(requests),
        records=records,
    )


def _with_delivery(asked: Asked, delivery: Delivery) -> Asked:
    return Asked(
        asked.question,
        asked.channel,
        asked.ts,
        asked.thread_ts,
        asked.at,
        is_acked=delivery.acked,
        is_given_up=delivery.gave_up,
    )


def _standing(slack: LocalSlack) -> Iterator[Standing]:
    for channel in slack.workspace.channels.values():
        for message in channel.messages.values():
            if message.get("bot_id") == BOT_ID:
                turn, part, is_last = _tag(message)
                yield Standing(
                    channel=channel.id,
                    thread_ts=message.get("thread_ts", ""),
                    ts=message["ts"],
                    turn=turn,
                    part=part,
                    is_last=is_last,
                    text=said(message),
                    notice=_notice(message),
                )


def _showings(calls: Sequence[Call]) -> Mapping[str, Sequence[Showing]]:
    showings: dict[str, list[Showing]] = {}
    turns = _streamed(calls)
    for call in calls:
        if call.method not in SHOWING:
            continue
        message = {name: _decoded(call.args.get(name)) for name in ("metadata", "blocks")}
        ts = call.answer.get("ts") if call.method == "chat.startStream" else call.args.get("ts")
        tag = _tag(message) if message["metadata"] else turns.get(ts, ("", 0, False))
        if call.ok:
            turns[call.answer.get("ts")] = tag
        turn, part, is_last = tag
        showing = Showing(
            method=call.method,
            turn=turn,
            part=part,
            is_last=is_last,
            words=len(said(message).split()) if message["blocks"] else 0,
            notice=_notice(message),
            started=call.started,
            answered=call.answered,
            outcome=call.outcome,
            fault=call.fault,
            has_effect=call.ok,
        )
        showings.setdefault(turn, []).append(showing)
    return showings


def _streamed(calls: Sequence[Call]) -> dict[object, tuple[str, int, bool]]:
    """What each streamed message turned out to be, by its ``ts``: a stream says so at its end."""
    found: dict[object, tuple[str, int, bool]] = {}
    for call in calls:
        metadata = call.args.get("metadata")
        if call.method in ("chat.stopStream", "chat.update") and metadata:
            turn, part, _ = _tag({"metadata": _decoded(metadata)})
            found.setdefault(call.args.get("ts"), (turn, part, False))
    return found


def _tag(message: Mapping[str, Any]) -> tuple[str, int, bool]:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    if metadata.get("event_type") != "llm_reply":
        return "", 0, False
    return str(payload.get("turn")), int(payload.get("part", -1)), payload.get("is_last") is True


def _notice(message: Mapping[str, Any]) -> str:
    blocks = [block for block in message.get("blocks") or () if block["type"] == "context"]
    said = visible_text({"blocks": blocks}) if blocks else ""
    return "" if said == MAY_BE_WRONG else said  # it is said once to each person


def _decoded(value: Any) -> Any:
    """Calls carry objects as JSON or within it."""
    return msgspec.json.decode(value) if isinstance(value, str) else value


def _histories(requests: Sequence[Request]) -> Mapping[int, Sequence[str]]:
    return {
        number: [
            str(message["content"])
            for message in request.body["messages"]
            if message["role"] == "assistant"
        ]
        for request in requests
        if request.finished == "complete" and (number := number_in(request.question)) is not None
    }
