"""A common pattern: a placeholder, edited once a second with all that has come so far."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.bench.patterns import serve

EVERY = 1.0  # seconds


async def show(client: AsyncWebClient, event: dict[str, Any], deltas: AsyncIterator[str]) -> None:
    channel = event["channel"]
    placeholder = await client.chat_postMessage(
        channel=channel, thread_ts=event["ts"], text="Thinking..."
    )
    text = ""

    async def edit() -> None:
        await client.chat_update(channel=channel, ts=placeholder["ts"], markdown_text=text)

    async def edit_on_a_timer() -> None:
        shown = ""
        while True:
            await asyncio.sleep(EVERY)
            if text != shown:
                shown = text
                with suppress(SlackApiError):  # the next edit has this text as well
                    await edit()

    timer = asyncio.create_task(edit_on_a_timer())
    try:
        async for delta in deltas:
            text += delta
    finally:
        timer.cancel()
    await edit()


if __name__ == "__main__":
    asyncio.run(serve(show))
