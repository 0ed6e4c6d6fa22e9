"""What the pattern bots share. They are written as such bots are: with Bolt and the OpenAI SDK."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from openai import AsyncOpenAI
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

Show = Callable[[AsyncWebClient, dict[str, Any], AsyncIterator[str]], Awaitable[None]]

TIMER = "tests.bench.timer_bot"
STREAM = "tests.bench.stream_bot"


async def serve(show: Show) -> None:
    """Answers each mention with what ``show`` makes of the model's deltas."""
    slack = AsyncWebClient(
        token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"]
    )
    slack.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
    model = AsyncOpenAI(api_key="none", base_url=os.environ["OPENAI_BASE_URL"])
    app = AsyncApp(client=slack)

    @app.event("app_mention")
    async def answer(event: dict[str, Any], client: AsyncWebClient) -> None:
        outcome = "complete"
        try:
            await show(client, event, _deltas(model, event["text"]))
        except SlackApiError as error:
            outcome = str(error.response.get("error"))
        finally:
            print(f"INFO answer.ended outcome={outcome}", file=sys.stderr, flush=True)

    handler = AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
    await handler.start_async()  # type: ignore[no-untyped-call]


async def _deltas(model: AsyncOpenAI, question: str) -> AsyncIterator[str]:
    stream = await model.chat.completions.create(
        model="local-model", messages=[{"role": "user", "content": question}], stream=True
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content
