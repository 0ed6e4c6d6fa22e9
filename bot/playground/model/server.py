"""A local model: OpenAI's chat completions on loopback, at a natural pace, with faults on request.

It serves the demo, the tests and the benchmarks, and it knows nothing of Slack or of the bot. A
person or a test steers it with directives in the last user message: see ``directives``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from bot.playground.model import answers
from bot.playground.model.checks import (
    check_body,
    check_context,
    check_key,
    check_model,
    parse,
    prompt_tokens,
)
from bot.playground.model.completions import (
    Usage,
    broken_off,
    estimate,
    model_card,
    prompt_text,
    question_of,
)
from bot.playground.model.directives import OrderedFaults, number, ordered_tokens, positive
from bot.playground.model.errors import (
    Refusal,
    RefusalStyle,
    openai_error,
    unsupported_parameter,
)
from bot.playground.model.exchanges import Exchange, Exchanges, Finished, Request, UsageSent
from bot.playground.model.faults import Faults, ModelFault
from bot.playground.model.images import check_images, images_of
from bot.playground.model.stream import Pace, Plan, Stream, reset, whole

DEFAULT_MODEL = "local-model"

Answer = str | Callable[[Request], str]
_PROMPTS_CACHED = 32
_FAULTLESS = ModelFault()


class LocalModel:
    """A server of ``POST /v1/chat/completions`` and ``GET /v1/models`` on loopback.

    ``tokens_per_second`` may be ``math.inf``; ``first_token_after`` is in seconds. ``answer``
    replaces the prepared texts. With ``key`` every other key gets a 401; without, none is needed.
    ``context_tokens`` bounds prompt and requested completion together. ``refuses`` names
    parameters to refuse with a 400 as OpenAI does, or, with ``refuses_as="pydantic"``, with the
    422 of servers built on FastAPI. Unless it ``sees``, it refuses images.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tokens_per_second: float = 40.0,
        first_token_after: float = 0.4,
        answer: Answer | None = None,
        key: str | None = None,
        context_tokens: int | None = None,
        refuses: Collection[str] = (),
        refuses_as: RefusalStyle = "openai",
        sees: bool = True,
    ) -> None:
        self.tokens_per_second = tokens_per_second
        self.first_token_after = first_token_after
        self.answer: Answer = answer if answer is not None else _prepared
        self.key = key
        self.context_tokens = context_tokens
        self.refuses = frozenset(refuses)
        self.refuses_as: RefusalStyle = refuses_as
        self.sees = sees
        self.faults = Faults()
        self._host, self._port = host, port
        self._exchanges = Exchanges()
        self._handlers: set[asyncio.Task[object]] = set()
        self._stopping = False
        self._prompts: deque[str] = deque(maxlen=_PROMPTS_CACHED)
        self._ordered = OrderedFaults()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)  # bytes; a prompt of 10 million tokens
        app.router.add_post("/v1/chat/completions", self._completions)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{name:.+}", self._model)
        app.router.add_route("*", "/{path:.*}", _no_such_url)
        app.on_shutdown.append(self._stop_handlers)
        # Cancelling the handler is how we learn of a client's close, even while sleeping.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        await asyncio.sleep(0)  # idle connections were cancelled: let their tasks end

    @property
    def base_url(self) -> str:
        """For ``OPENAI_BASE_URL``; ends in ``/v1``."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def requests(self) -> Sequence[Request]:
        """The latest 10,000 requests for a completion, oldest first, as they stand now."""
        return tuple(self._exchanges.records.values())

    @property
    def listeners(self) -> list[Callable[[int, Request], None]]:
        """Called with a request's number and its record at each change: its arrival, each token,
        its end. Numbers count from 0 in the order of arrival and stay."""
        return self._exchanges.listeners

    @property
    def usage_sent(self) -> UsageSent:
        """Running totals over the ended requests."""
        return self._exchanges.usage_sent

    async def until(
        self,
        predicate: Callable[[], bool],
        timeout: float = 5.0,  # noqa: ASYNC109 - it says what was there instead
    ) -> None:
        """Wait until the predicate holds; it is asked again after each change in ``requests``.

        Raises TimeoutError after ``timeout`` seconds.
        """
        await self._exchanges.until(predicate, within=timeout)

    async def _stop_handlers(self, app: web.Application) -> None:
        """End the open streams at once; aiohttp alone would wait for them."""
        self._stopping = True
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _models(self, request: web.Request) -> web.Response:
        refusal = check_key(request, self.key)
        listed = {"object": "list", "data": [model_card(DEFAULT_MODEL)]}
        return refusal.response() if refusal else web.json_response(listed)

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        refusal = check_key(request, self.key) or check_model({"model": name})
        return refusal.response() if refusal else web.json_response(model_card(name))

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        exchange = self._exchanges.begin(request)
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        try:
            return await self._serve(request, exchange)
        except asyncio.CancelledError:
            how: Finished = "closed by the client"
            exchange.finish("closed by the server's stop" if self._stopping else how)
            raise
        except ConnectionError:  # in the middle of a write; aiohttp would log it with its stack
            exchange.finish("closed by the client")
            return reset(request, web.Response())
        finally:
            self._handlers.discard(handler)

    async def _serve(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        """The path of a request: key, body, fault, checks, answer."""
        refusal = check_key(request, self.key)
        body, malformed = parse(await request.read())
        question = question_of(body)
        exchange.update(body=body, question=question)
        if refusal := refusal or malformed:
            return exchange.refuse(refusal)

        orders = answers.directives(question)
        fault = self.faults.take(question) or self._ordered.take(orders, question) or _FAULTLESS
        await asyncio.sleep(fault.delay)
        if refusal := fault.refusal or self._check(body):
            return exchange.refuse(refusal)
        if fault.then == "reset" and fault.after is None:
            exchange.finish("reset")
            return reset(request, web.Response())
        return await self._reply(request, exchange, orders, fault)

    async def _reply(
        self,
        request: web.Request,
        exchange: Exchange,
        orders: Mapping[str, str],
        fault: ModelFault,
    ) -> web.StreamResponse:
        body = exchange.record.body
        tokens = self._tokens(exchange.record)
        plan = Plan.of(tokens, body, fault, thinks=number(orders.get("think", "")) or 0)
        exchange.update(prompt_usage=self._prompt_usage(body))
        rate = positive(orders.get("rate", "")) or self.tokens_per_second
        pace = Pace(rate, exchange.started_at + fault.delay + self.first_token_after)
        await pace.start(exchange.number)
        if not body.get("stream"):
            return await whole(request, exchange, plan, pace)
        return await Stream(request, exchange, plan, pace).run()

    def _tokens(self, record: Request) -> Sequence[str]:
        """What is answered; where an answer broke off and is to go on, the rest of it."""
        if broken := broken_off(record.body):
            body, written = broken
            asked = msgspec.structs.replace(record, body=body, question=question_of(body))
            return answers.tokens_of(answers.rest_of("".join(self._tokens(asked)), written))
        tokens = ordered_tokens(answers.directives(record.question), record.body)
        return answers.tokens_of(self._answer(record)) if tokens is None else tokens

    def _answer(self, record: Request) -> str:
        return self.answer if isinstance(self.answer, str) else self.answer(record)

    def _check(self, body: dict[str, Any]) -> Refusal | None:
        """What is wrong with a well-formed body, in OpenAI's words; None if nothing is."""
        for name in sorted(self.refuses & body.keys()):
            return unsupported_parameter(name, value=body[name], style=self.refuses_as)
        wrong = check_body(body) or check_images(body, sees=self.sees)
        return wrong or check_context(body, self.context_tokens)

    def _prompt_usage(self, body: dict[str, Any]) -> Usage:
        prompt = prompt_text(body)
        return Usage(prompt_tokens=prompt_tokens(body), cached_tokens=self._cached(prompt))

    def _cached(self, prompt: str) -> int:
        """Tokens of the prompt that begin an earlier one.

        OpenAI caches prefixes from 1,024 tokens on, in steps of 128 (guide: prompt caching).
        """
        if estimate(prompt) < 1024:
            return 0
        tokens = max((_common_prefix(prompt, other) for other in self._prompts), default=0)
        self._prompts.append(prompt)
        return tokens if tokens >= 1024 else 0


def _prepared(request: Request) -> str:
    answer = answers.prepared_answer(request.question)
    images = images_of(request.body["messages"][-1])
    if not images:
        return answer
    count = "an image" if len(images) == 1 else f"{len(images)} images"
    seen = "\n".join(f"- {image}" for image in images)
    return f"You sent me {count}, of which I see this much:\n\n{seen}\n\n{answer}"


def _common_prefix(one: str, other: str) -> int:
    """How many tokens two prompts begin with in common, in steps of 128."""
    step = 128 * 4  # characters
    shared = 0
    while one[shared : shared + step] == other[shared : shared + step]:
        shared += step
        if shared + step > min(len(one), len(other)):
            break
    return shared // 4


async def _no_such_url(request: web.Request) -> web.Response:
    message = f"Invalid URL ({request.method} {request.path})"
    return openai_error(404, message).response()
