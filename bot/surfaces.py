"""What the bot shows outside of threads: modals, the App Home, answers to commands, files."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import RateLimited, SlackRefused, Unavailable
from bot.web_api import CALL_TIMEOUT, call, retry_after

# Where Slack takes answers to commands and buttons.
SLACK_HOSTS = (".slack.com", ".slack-gov.com")


class Surfaces:
    """Every call may raise `Transient` or `SlackRefused`."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def open_modal(self, trigger_id: str, view: dict[str, Any]) -> str:
        """Its id. A trigger is good for 3 seconds: `SlackRefused` with `expired_trigger_id`."""
        answer = await self._call("views.open", trigger_id=trigger_id, view=view)
        return str(answer["view"]["id"])

    async def update_modal(self, view_id: str, view: dict[str, Any]) -> None:
        await self._call("views.update", view_id=view_id, view=view)

    async def suggest(self, channel: str, prompts: list[dict[str, str]]) -> None:
        """Offers ready-made questions in the direct messages of a channel.

        With a thread's ``ts`` the call would do nothing, in silence
        (docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts).
        """
        await self._call(
            "assistant.threads.setSuggestedPrompts", channel_id=channel, prompts=prompts
        )

    async def entitle(self, channel: str, thread_ts: str, title: str) -> None:
        """Names a session, which is a thread of the direct messages."""
        await self._call(
            "agents.sessions.rename", channel_id=channel, thread_ts=thread_ts, title=title
        )

    async def show_home(self, user: str, view: dict[str, Any]) -> None:
        await self._call("views.publish", user_id=user, view=view)

    async def respond(
        self, response_url: str, message: dict[str, Any], *, replaces: bool = False
    ) -> None:
        """Answers a command or a button privately, also where the bot is no member.

        Slack takes five answers in half an hour.
        """
        _check_response_url(response_url, self._client.base_url)
        body = message | {"response_type": "ephemeral", "replace_original": replaces}
        await self._send(response_url, json=body)

    async def creator(self, channel: str) -> str | None:
        """Who made a channel; it wants ``channels:read``, for private ones ``groups:read``, for
        group messages ``mpim:read``."""
        answer = await self._call("conversations.info", channel=channel)
        return (answer.get("channel") or {}).get("creator") or None

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]:
        """Says it in the direct messages with that person: their channel, and the ``ts``."""
        return await self._post(channel=user, **message)

    async def reply(self, channel: str, thread_ts: str, message: dict[str, Any]) -> None:
        await self._post(channel=channel, thread_ts=thread_ts, **message)

    async def upload(self, channel: str, thread_ts: str, *, name: str, content: bytes) -> None:
        """Posts a file into a thread; needs the scope ``files:write``."""
        place = await self._call("files.getUploadURLExternal", filename=name, length=len(content))
        await self._send(str(place["upload_url"]), data=content)
        await self._call(
            "files.completeUploadExternal",
            files=[{"id": str(place["file_id"]), "title": name}],
            channel_id=channel,
            thread_ts=thread_ts,
        )

    async def _post(self, **message: Any) -> tuple[str, str]:
        quietly = {"unfurl_links": False, "unfurl_media": False}
        answer = await self._call("chat.postMessage", **message, **quietly)
        return str(answer["channel"]), str(answer["ts"])

    async def _call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        return await call(self._client, method, arguments)

    async def _send(self, url: str, **body: Any) -> None:
        """To an address that Slack gave for this one purpose; no token goes there."""
        session = self._client.session
        assert session
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                async with session.post(url, proxy=self._client.proxy, **body) as response:
                    status = response.status
                    seconds = retry_after(response.headers)
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable("Slack", type(error).__name__) from error
        if status == 429:
            raise RateLimited("Slack", seconds)
        if status >= 500:
            raise Unavailable("Slack", f"HTTP {status}")
        if status >= 300:
            raise SlackRefused("post", f"HTTP {status}")


def _check_response_url(url: str, api_url: str) -> None:
    """It comes with a payload: whatever that holds, only Slack is written to.

    :raises SlackRefused: it leads elsewhere.
    """
    asked, api = urlsplit(url), urlsplit(api_url)
    is_local = (asked.scheme, asked.netloc) == (api.scheme, api.netloc)
    host = asked.hostname or ""
    if not (is_local or (asked.scheme == "https" and host.endswith(SLACK_HOSTS))):
        raise SlackRefused("response_url", "another host")
