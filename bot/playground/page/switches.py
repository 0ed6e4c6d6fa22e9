"""What a person can set: the limits, the speed of Slack and of the model, and what goes wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.playground.model import LocalModel, ModelFault
from bot.playground.slack import Fault, Limits, LocalSlack
from bot.playground.slack.limits import Limiter, SlidingWindow, TokenBucket

Form = Literal["window", "bucket"]
LimitsKind = Literal["off", "real"]

FORMS: Mapping[Form, Callable[[float, float], Limiter]] = {
    "window": SlidingWindow,
    "bucket": TokenBucket,
}
LATENCY = 0.08  # seconds; about what Slack's Web API takes
AFTER = 40  # tokens of an answer before the model's faults come
SLOW = 5.0  # seconds
SILENCE = 10  # seconds without a word after which the bot is set to ask its model again


class Switches:
    """Of ``slack`` and ``model``. With a ``real_model`` there is nothing to set of it."""

    def __init__(self, slack: LocalSlack, model: LocalModel, *, real_model: bool) -> None:
        self._slack = slack
        self._model = model
        self.has_local_model = not real_model
        self._limits: LimitsKind = "real"
        self._form: Form = "window"
        self._scale = 1.0
        self._faults: dict[str, _SlackFault | _ModelFault | _CutSockets] = dict(SLACK_FAULTS)
        if self.has_local_model:
            self._faults |= MODEL_FAULTS

    def set_all(self) -> None:
        """As they stand at the beginning: the real limits, and about the speed of Slack."""
        self._slack.latency = LATENCY
        self._renew_limits()

    def shown(self) -> dict[str, Any]:
        """As the page's frames say it."""
        return {
            "limits": self._limits,
            "form": self._form,
            "scale": self._scale,
            "latency": self._slack.latency,
            "model_rate": self._model.tokens_per_second if self.has_local_model else None,
            "faults": [self._fault_shown(key) for key in self._faults],
        }

    def set_limits(
        self,
        *,
        limits: LimitsKind | None = None,
        form: Form | None = None,
        scale: float | None = None,
    ) -> None:
        """Another scale keeps what was counted; other limits begin to count afresh."""
        renewed = (limits or self._limits, form or self._form) != (self._limits, self._form)
        self._limits = limits or self._limits
        self._form = form or self._form
        self._scale = scale if scale is not None else self._scale
        if renewed:
            self._renew_limits()
        elif self._limits == "real":
            self._slack.limits.scale = self._scale

    def set_speed(
        self, *, latency: float | None = None, tokens_per_second: float | None = None
    ) -> None:
        if latency is not None:
            self._slack.latency = latency
        if tokens_per_second is not None:
            self._model.tokens_per_second = tokens_per_second

    def knows(self, fault: str) -> bool:
        return fault in self._faults

    async def arm(self, key: str, times: int) -> None:
        """Lets exactly ``times`` calls or requests to come meet the fault; 0 takes it away."""
        match self._faults[key]:
            case _CutSockets() if times:
                await self._slack.drop_sockets()
            case _SlackFault(method=method, fault=fault):
                self._slack.faults.withdraw(method, fault)
                if times:
                    self._slack.faults.add(method, fault, times=times)
            case _ModelFault(fault=model_fault):
                self._model.faults.withdraw(model_fault)
                if times:
                    self._model.faults.add(model_fault, times=times)

    async def calm(self) -> None:
        """All faults away."""
        for key in self._faults:
            await self.arm(key, 0)

    def armed(self) -> tuple[int, ...]:
        """How often each fault is still to be met."""
        return tuple(self._waiting(key) for key in self._faults)

    def _waiting(self, key: str) -> int:
        match self._faults[key]:
            case _SlackFault(method=method, fault=fault):
                return int(self._slack.faults.waiting(method, fault))
            case _ModelFault(fault=model_fault):
                return int(self._model.faults.waiting(model_fault))
        return 0

    def _fault_shown(self, key: str) -> dict[str, Any]:
        fault = self._faults[key]
        return {
            "key": key,
            "label": fault.label,
            "side": "model" if isinstance(fault, _ModelFault) else "slack",
            "explanation": fault.watch,
            "armed": self._waiting(key),
        }

    def _renew_limits(self) -> None:
        real = Limits.real(scale=self._scale, form=FORMS[self._form])
        self._slack.limits = real if self._limits == "real" else Limits.off()


@dataclass(frozen=True, kw_only=True)
class _SlackFault:
    label: str
    watch: str  # what a person should look at
    method: str
    fault: Fault


@dataclass(frozen=True, kw_only=True)
class _ModelFault:
    label: str
    watch: str
    fault: ModelFault


@dataclass(frozen=True, kw_only=True)
class _CutSockets:
    label: str
    watch: str


SLACK_FAULTS: Mapping[str, _SlackFault | _CutSockets] = {
    "refused_edit": _SlackFault(
        label="429 on an edit",
        watch="The reply stands still for 5 s, then catches up in one edit; no word is lost.",
        method="chat.update",
        fault=Fault.refuse(retry_after=5),
    ),
    "refused_post": _SlackFault(
        label="429 on a post",
        watch="The reply begins 5 s later, and is posted once.",
        method="chat.postMessage",
        fault=Fault.refuse(retry_after=5),
    ),
    "server_error": _SlackFault(
        label="HTTP 500 on a post",
        watch="Slack breaks at the next post; the reply begins a second later, and stands once.",
        method="chat.postMessage",
        fault=Fault.unavailable(500),
    ),
    "reset": _SlackFault(
        label="Reset before a post",
        watch="The connection breaks before the next post; the reply begins a second later.",
        method="chat.postMessage",
        fault=Fault.reset(),
    ),
    "lost_answer": _SlackFault(
        label="Lost answer to a post",
        watch="The message is posted, but the bot is not told; it looks, and posts no other.",
        method="chat.postMessage",
        fault=Fault.lost_answer(),
    ),
    "slow": _SlackFault(
        label="Slow edit",
        watch="The next edit takes 5 s; then the reply catches up with the model at once.",
        method="chat.update",
        fault=Fault.slow(SLOW),
    ),
    "cut_sockets": _CutSockets(
        label="Cut the socket",
        watch="Socket Mode breaks; the bot is back after about a second, and misses no question.",
    ),
}

ASKED_AGAIN = "the bot asks again, and the answer ends whole. Only five in a row leave a note."
MODEL_FAULTS: Mapping[str, _ModelFault] = {
    "model_429": _ModelFault(
        label="429",
        watch="The model is busy; the answer begins a second or two later, after another try.",
        fault=ModelFault.rate_limited(),
    ),
    "model_quota": _ModelFault(
        label="Quota used up",
        watch="Trying again is of no use; the person is told at once.",
        fault=ModelFault.quota(),
    ),
    "model_500": _ModelFault(
        label="HTTP 500",
        watch="The model breaks before its first word; the bot asks again a second later.",
        fault=ModelFault.http(500),
    ),
    "model_slow": _ModelFault(
        label="Slow first word",
        watch="Nothing comes for 5 s; the status line says that the bot is at work.",
        fault=ModelFault.slow(SLOW),
    ),
    "model_reset": _ModelFault(
        label="Broken stream",
        watch=f"The connection breaks after {AFTER} tokens; {ASKED_AGAIN}",
        fault=ModelFault.reset(AFTER),
    ),
    "model_stall": _ModelFault(
        label="Stalled stream",
        watch=f"Silence after {AFTER} tokens, for {SILENCE} s; {ASKED_AGAIN}",
        fault=ModelFault.stall(AFTER),
    ),
    "model_error": _ModelFault(
        label="Error in the stream",
        watch=f"An error in place of the next word after {AFTER} tokens; {ASKED_AGAIN}",
        fault=ModelFault.error(AFTER),
    ),
    "model_filter": _ModelFault(
        label="Content filter",
        watch=f"The provider stops the answer after {AFTER} tokens; the reply says why.",
        fault=ModelFault.filter(AFTER),
    ),
    "model_context": _ModelFault(
        label="Too long for the model",
        watch="It does not fit; the bot asks once more, with half at most, then tells the person.",
        fault=ModelFault.context(),
    ),
}
