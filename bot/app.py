"""What of Slack reaches the bot, and when it is acknowledged."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.follow_ups import CHANNEL_EVENTS, follow_up_from
from bot.gate import question_from
from bot.interactions import Interaction, interaction_from
from bot.logs import broke
from bot.messages import Identity, Question
from bot.wishes import Edit, Wish, wish_from

log = logging.getLogger(__name__)

# Writes a question down, within milliseconds. Slack sends an event again that was not
# acknowledged within 3 seconds (docs.slack.dev/apis/events-api).
# True: it was new.
Accept = Callable[[Question], Awaitable[bool]]

# Whether what is said in a thread without a mention is a question there. Raises where that cannot
# be known, so that Slack sends it again.
GoesOn = Callable[[Question], Awaitable[bool]]

# Does what somebody wants of an earlier question, or writes it down, as fast.
Heed = Callable[[Wish], Awaitable[None]]

# What the app subscribes to, as `manifest.yml` names it.
EVENTS = ("agent_session_stopped", "app_home_opened", "app_mention", "message.im")
# And what it hears too where it is subscribed to: edits and deletions in channels, and follow-ups.
OPTIONAL_EVENTS = CHANNEL_EVENTS
COMMAND = "/llm"

ANYTHING = re.compile("")

NOT_TAKEN = BoltResponse(status=503, body="shutting down")


class Desk(Protocol):
    async def take(self, interaction: Interaction) -> dict[str, Any] | None:
        """Returns within Slack's 3 seconds what the acknowledgement says, if anything."""


class Intake:
    """Hands on what asks the bot something."""

    def __init__(
        self, bot: Identity, *, accept: Accept, goes_on: GoesOn, heed: Heed, desk: Desk
    ) -> None:
        self._bot = bot
        self._accept = accept
        self._goes_on = goes_on
        self._heed = heed
        self._desk = desk
        self._is_open = True

    async def on_event(self, body: dict[str, Any]) -> BoltResponse | None:
        """Returns when the event may be acknowledged. Raises where it must not be."""
        question, wish = question_from(body, self._bot), wish_from(body, self._bot)
        if question is None and wish is None:
            question = await self._follow_up(body)
        if question is None and wish is None:
            return await self.on_interaction(body)
        if not self._is_open and (question or isinstance(wish, Edit)):
            return NOT_TAKEN  # but stop what still runs here
        is_new = question is not None and await self._accept(question)
        if wish and not is_new:
            await self._heed(wish)
        return None

    async def _follow_up(self, body: dict[str, Any]) -> Question | None:
        said = follow_up_from(body, self._bot)
        return said if said and await self._goes_on(said) else None

    async def on_interaction(self, body: dict[str, Any]) -> BoltResponse:
        """The acknowledgement of a command, a shortcut, a button, a form, or a look at the App
        Home or the direct messages.

        Also of those that come last of all: Slack sends none of them again.
        """
        interaction = interaction_from(body)
        said = await self._desk.take(interaction) if interaction else None
        return BoltResponse(status=200, body=said or "")

    def close(self) -> None:
        """Takes no more questions. Slack sends those again that come from now on."""
        self._is_open = False


def bolt_app(
    intake: Intake, bot: Identity, client: AsyncWebClient, *, signing_secret: str | None
) -> AsyncApp:
    """The Bolt app. Its listeners run before the acknowledgement, so they only write down.

    ``client`` has no token: with one, Bolt would ask ``auth.test`` itself, and acknowledge and
    drop the event where Slack refuses that call.
    """
    bolt_log = logging.getLogger("slack_bolt.bot")
    bolt_log.setLevel(logging.ERROR)  # what it warns of is decided here
    app = AsyncApp(
        # Of loggers, whose level Bolt sets. Without one it reads the source of all callers for it,
        # for a tenth of a second.
        name=bolt_log.name,
        client=client,
        authorize=_always(bot),
        signing_secret=signing_secret or "",
        process_before_response=True,
        raise_error_for_unhandled_request=True,
        ignoring_self_events_enabled=False,  # a question that the bot posted may be deleted
        attaching_conversation_kwargs_enabled=False,  # each `say` in a DM would read the thread
        logger=bolt_log,
    )

    async def on_event(body: dict[str, Any]) -> BoltResponse | None:
        return await intake.on_event(body)

    async def on_interaction(body: dict[str, Any]) -> BoltResponse:
        return await intake.on_interaction(body)

    for name in EVENTS:
        app.event(name.partition(".")[0])(on_event)
    app.command(COMMAND)(on_interaction)
    app.action(ANYTHING)(on_interaction)
    app.view(ANYTHING)(on_interaction)
    app.shortcut(ANYTHING)(on_interaction)
    app.error(on_error)
    return app


async def on_error(error: Exception) -> BoltResponse:
    """Acknowledges what nobody listens to; what failed stays unacknowledged, so it comes again."""
    if isinstance(error, BoltUnhandledRequestError):
        return BoltResponse(status=200)
    broke(log, "event.failed", error)
    return BoltResponse(status=500)


def _always(bot: Identity) -> Callable[..., Awaitable[AuthorizeResult]]:
    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id=bot.team, bot_user_id=bot.user, bot_id=bot.bot_id
        )

    return authorize
