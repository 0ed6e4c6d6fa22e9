"""A common pattern: Slack's own streaming, through the helper of its SDK."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from tests.bench.patterns import serve


async def show(client: AsyncWebClient, event: dict[str, Any], deltas: AsyncIterator[str]) -> None:
    streamer = await client.chat_stream(
        channel=event["channel"],
        thread_ts=event["ts"],
        recipient_team_id=event["team"],
        recipient_user_id=event["user"],
    )
    async for delta in deltas:
        await streamer.append(markdown_text=delta)
    await streamer.stop()


if __name__ == "__main__":
    asyncio.run(serve(show))
