"""The Web API's server: decodes a call, meets faults and limits, runs the method, answers, logs."""

import asyncio
import logging
import math
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from aiohttp import web

from bot.playground.slack.arguments import Args
from bot.playground.slack.errors import ApiError
from bot.playground.slack.faults import Fault, Faults
from bot.playground.slack.limits import Limits
from bot.playground.slack.methods import METHODS, Answer
from bot.playground.slack.payloads import encoded
from bot.playground.slack.workspace import Workspace

logger = logging.getLogger(__name__)

Token = Literal["bot", "app", "unknown", "none"]


@dataclass(eq=False, slots=True, kw_only=True)
class Call:
    """One call of a Web API method, recorded when it arrives and completed when it is answered."""

    method: str
    args: Mapping[str, Any]
    token: Token
    started: float  # seconds of the server's clock
    answered: float | None = None  # None: under way
    status: int | None = None  # HTTP status; None when the connection was reset
    answer: Mapping[str, Any] = field(default_factory=dict)  # {}: none, or a page in HTML
    fault: str = ""  # the kind of the fault it met
    retry_after: int | None = None  # seconds, as the header told the caller

    @property
    def ok(self) -> bool:
        return self.answer.get("ok") is True

    @property
    def refused(self) -> bool:
        """Refused by a rate limit, in either of Slack's two spellings."""
        return self.answer.get("error") in ("ratelimited", "rate_limited")

    @property
    def outcome(self) -> str:
        """``ok``, an error code, the kind of a fault, or that it is under way."""
        if self.answered is None:
            return "under way"
        return "ok" if self.ok else str(self.answer.get("error", self.fault))


class WebApi:
    """Serves the methods of a workspace; ``changed`` gets each call at arrival and when answered.

    ``open_connection`` returns a URL for a Socket Mode connection.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        tokens: Mapping[str, Token],
        scopes: Iterable[str],
        limits: Limits,
        latency: float,
        open_connection: Callable[[], str],
        changed: Callable[[Call], None],
        calls_kept: int,
    ) -> None:
        self.limits = limits
        self.latency = latency
        self.scopes = list(scopes)
        self.faults = Faults()
        self.calls: list[Call] = []
        self._counts: Counter[tuple[str, bool]] = Counter()
        self._workspace = workspace
        self._tokens = tokens
        self._open_connection = open_connection
        self._changed = changed
        self._calls_kept = calls_kept

    def token_of(self, authorization: str) -> Token:
        """Whose token an ``Authorization`` header carries."""
        scheme, _, bearer = authorization.partition(" ")
        return self._tokens.get(bearer.strip() if scheme.lower() == "bearer" else "", "unknown")

    def count(self, method: str, *, refused: bool) -> int:
        return self._counts[method, refused]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The path of a call."""
        call, problem = await self._arrived(request)
        fault = self.faults.take(call.method, call.args) or _NO_FAULT
        call.fault = fault.kind
        response = self._refusal(call, fault)
        self._counts[call.method, response is not None] += 1
        self._changed(call)
        if response is None:
            await _pause(self.latency / 2 + fault.wait_before)
            response = self._effect(call, problem, fault)
        await _pause(self.latency / 2 + fault.wait_after)
        if fault.reset_before or fault.reset_after:
            reset(request)
            call.status = None
        call.answered = self._workspace.clock()
        self._changed(call)
        return response

    async def _arrived(self, request: web.Request) -> tuple[Call, ApiError | None]:
        problem = None
        try:
            values = await arguments(request)
        except ApiError as error:
            values, problem = {}, error
        call = Call(
            method=request.match_info["method"],
            token=self._tokens.get(_token(request, values), "unknown"),
            args=values,
            started=self._workspace.clock(),
        )
        keep(self.calls, call, most=self._calls_kept)
        return call, problem

    def _refusal(self, call: Call, fault: Fault) -> web.Response | None:
        """The answer of a rate limit, if one refuses this call; else the call is counted."""
        if fault.refuses:
            return self._false_answer(call, fault)
        if call.token not in ("bot", "app"):
            return None
        channel = str(call.args.get("channel", ""))
        wait = self.limits.admit(call.method, channel, self._workspace.clock())
        if wait <= 0.0:
            return None
        headers = {"Retry-After": str(max(1, math.ceil(wait)))}  # Slack gives whole seconds
        return self._answered(call, {"ok": False, "error": "ratelimited"}, 429, headers)

    def _effect(self, call: Call, problem: ApiError | None, fault: Fault) -> web.Response:
        if fault.reset_before:
            return web.Response()  # nobody will read it
        if fault.status is not None:
            return self._false_answer(call, fault)
        return self._answered(call, self._run(call, problem), 200, {})

    def _false_answer(self, call: Call, fault: Fault) -> web.Response:
        status = fault.status or 200
        if not isinstance(fault.body, str):
            return self._answered(call, dict(fault.body), status, fault.headers)
        call.status = status
        return web.Response(status=status, text=fault.body, content_type="text/html")

    def _answered(
        self, call: Call, answer: Answer, status: int, headers: Mapping[str, str]
    ) -> web.Response:
        call.answer, call.status = answer, status
        if "Retry-After" in headers:
            call.retry_after = int(headers["Retry-After"])
        scopes = {"x-oauth-scopes": ",".join(self.scopes)} if call.token == "bot" else {}
        return web.Response(
            status=status,
            body=encoded(answer),
            content_type="application/json",
            headers={**scopes, **headers},
        )

    def _run(self, call: Call, problem: ApiError | None) -> Answer:
        """The method's answer; a mistake of this server is an error of Slack's, never HTTP 500."""
        try:
            if problem is not None:
                raise problem
            return self._run_method(call)
        except ApiError as error:
            return error.answer
        except Exception:
            logger.exception("playground.method_failed method=%s", call.method)
            return {"ok": False, "error": "internal_error"}

    def _run_method(self, call: Call) -> Answer:
        if call.method == "apps.connections.open":
            _check_token(call, "app")
            return {"ok": True, "url": self._open_connection()}
        method = METHODS.get(call.method)
        if method is None:
            raise ApiError("unknown_method", req_method=call.method)
        _check_token(call, "bot")
        args = Args(call.args)
        needed = method.needed(self._workspace, args)
        if needed is not None and needed not in self.scopes:
            raise ApiError("missing_scope", needed=needed, provided=",".join(self.scopes))
        return method.run(self._workspace, args)


_NO_FAULT = Fault(kind="")
_TOKEN_ERRORS: Mapping[Token, str] = {
    "app": "not_allowed_token_type",
    "bot": "not_allowed_token_type",
    "none": "not_authed",
    "unknown": "invalid_auth",
}


def _check_token(call: Call, wanted: Token) -> None:
    if call.token != wanted:
        raise ApiError(_TOKEN_ERRORS[call.token])


async def _pause(seconds: float) -> None:
    if seconds > 0.0:
        await asyncio.sleep(seconds)


def keep(log: list[Any], entry: object, *, most: int) -> None:
    """Append to a log that forgets its older half when it has grown too long."""
    if len(log) >= most:
        del log[: most // 2]
    log.append(entry)


async def arguments(request: web.Request) -> dict[str, Any]:
    """The arguments of a call: of the URL, then of a form or a JSON object."""
    values: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.read()
        try:
            found = msgspec.json.decode(body) if body else {}
        except msgspec.DecodeError:
            raise ApiError("invalid_json") from None
        if not isinstance(found, dict):
            raise ApiError("json_not_object")
        values.update(found)
    elif request.can_read_body:
        try:
            values.update(await request.post())
        except ValueError:
            raise ApiError("invalid_form_data") from None
    return values


def _token(request: web.Request, values: dict[str, Any]) -> str:
    """The token, which is taken out of the arguments so that no log shows it."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    in_body = str(values.pop("token", ""))
    return bearer.strip() if scheme.lower() == "bearer" else in_body


def reset(request: web.Request) -> None:
    """Reset the connection: the client reads ECONNRESET, not an orderly end."""
    if request.transport is None:
        return
    raw = request.transport.get_extra_info("socket")
    if raw is not None:
        # Lingering for zero seconds makes close() send RST.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
