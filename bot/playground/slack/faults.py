"""What goes wrong on purpose: each fault is put on for a method and met by its next calls."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

Args = Mapping[str, Any]
ANY_METHOD = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one call: waits, then a false answer instead of the effect, or a reset.

    Made by the class methods below. A fault with ``status`` replaces the effect; the others let
    the call take effect, unless ``reset_before``.
    """

    kind: str
    wait_before: float = 0.0  # seconds before the effect
    wait_after: float = 0.0  # seconds between the effect and the answer
    status: int | None = None
    body: Mapping[str, Any] | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    reset_before: bool = False
    reset_after: bool = False

    @classmethod
    def refuse(cls, *, retry_after: int = 1) -> Self:
        """HTTP 429 with ``Retry-After`` in seconds: a limit that only Slack knows of."""
        answer = {"ok": False, "error": "ratelimited"}
        headers = {"Retry-After": str(retry_after)}
        return cls(kind="ratelimited", status=429, body=answer, headers=headers)

    @classmethod
    def rate_limited(cls) -> Self:
        """The other spelling, "too many messages": HTTP 200 and no ``Retry-After``.

        Listed for chat.postMessage (docs.slack.dev/reference/methods/chat.postMessage); whether
        it really comes with HTTP 200 is not known.
        """
        return cls(kind="rate_limited", status=200, body={"ok": False, "error": "rate_limited"})

    @classmethod
    def error(cls, error: str, **fields: Any) -> Self:
        """Any of Slack's error codes, HTTP 200: ``Fault.error("channel_not_found")``."""
        return cls(kind=error, status=200, body={"ok": False, "error": error, **fields})

    @classmethod
    def unavailable(cls, status: int = 503) -> Self:
        """HTTP 500, 502, 503 ... with a page in HTML, as a proxy in front of Slack sends it."""
        page = f"<html><body><h1>{status} Server Error</h1></body></html>"
        return cls(kind=f"http_{status}", status=status, body=page)

    @classmethod
    def reset(cls) -> Self:
        """The connection is reset before the call takes effect."""
        return cls(kind="reset", reset_before=True)

    @classmethod
    def lost_answer(cls) -> Self:
        """The call takes effect, then the connection is reset: the caller cannot know."""
        return cls(kind="lost_answer", reset_after=True)

    @classmethod
    def slow(cls, seconds: float, *, after: bool = False) -> Self:
        """The call waits before its effect, or with ``after`` between effect and answer."""
        if after:
            return cls(kind="slow", wait_after=seconds)
        return cls(kind="slow", wait_before=seconds)

    @property
    def refuses(self) -> bool:
        return self.kind in ("ratelimited", "rate_limited")


@dataclass(frozen=True, slots=True)
class _Plan:
    fault: Fault
    times: int | None
    skip: int
    where: Callable[[Args], bool] | None


class Faults:
    """The faults that wait for their call, first put first met."""

    def __init__(self) -> None:
        # Socket Mode connections to come, if True:
        self.refuse_sockets = False  # are answered with HTTP 503
        self.expire_addresses = False  # are answered with HTTP 408 (node-slack-sdk#1472)
        self.mute_sockets = False  # open, and never say anything
        # A reason: they are told to go in place of a greeting (`link_disabled`, for one).
        self.turn_sockets_away = ""
        self._plans: dict[str, list[_Plan]] = {}

    def add(
        self,
        method: str,
        fault: Fault,
        *,
        times: int | None = 1,
        skip: int = 0,
        where: Callable[[Args], bool] | None = None,
    ) -> None:
        """Let the next ``times`` calls of ``method`` (``"*"``: any) meet ``fault``.

        ``times=None`` is always; ``skip`` lets that many calls pass first; ``where`` looks at the
        call's arguments, so that one channel or one message fails.
        """
        self._plans.setdefault(method, []).append(_Plan(fault, times, skip, where))

    def clear(self, method: str | None = None) -> None:
        """Take the faults of ``method`` away; of all methods when it is None."""
        if method is None:
            self._plans.clear()
        else:
            self._plans.pop(method, None)

    def waiting(self, method: str, fault: Fault) -> float:
        """How many calls of ``method`` are still to meet ``fault``; ``math.inf``: all."""
        plans = [plan for plan in self._plans.get(method, ()) if plan.fault == fault]
        return sum(math.inf if plan.times is None else plan.times for plan in plans)

    def withdraw(self, method: str, fault: Fault) -> None:
        """Take one fault of ``method`` away, however often it was still to be met."""
        plans = self._plans.get(method, [])
        plans[:] = [plan for plan in plans if plan.fault != fault]

    def take(self, method: str, args: Args) -> Fault | None:
        """The fault that this call meets, now used up once."""
        if not self._plans:  # the usual case costs nothing
            return None
        return self._take(method, args) or self._take(ANY_METHOD, args)

    def _take(self, method: str, args: Args) -> Fault | None:
        plans = self._plans.get(method, [])
        for position, plan in enumerate(plans):
            if plan.where is not None and not plan.where(args):
                continue
            if plan.skip:
                plans[position] = replace(plan, skip=plan.skip - 1)
                continue
            if plan.times is not None:
                plans[position] = replace(plan, times=plan.times - 1)
                if plan.times <= 1:
                    del plans[position]
            return plan.fault
        return None
