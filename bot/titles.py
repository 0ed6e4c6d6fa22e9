"""Sessions, which are threads of direct messages, are named after their first question."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from bot.errands import Errands
from bot.errors import LACKING, SlackRefused, Transient
from bot.logs import event
from bot.messages import Question
from bot.mrkdwn import from_mrkdwn, mentioned

log = logging.getLogger(__name__)

# Characters. Slack takes 200 (docs.slack.dev/reference/methods/agents.sessions.rename), of which a
# list shows some forty.
LONGEST = 60


class Sessions(Protocol):
    async def entitle(self, channel: str, thread_ts: str, title: str) -> None:
        """May raise `Transient` or `SlackRefused`."""


class Titles:
    """Names each session once, when it begins: a name that a person gave it later stays."""

    def __init__(
        self,
        accept: Callable[[Question], Awaitable[bool]],
        *,
        sessions: Sessions,
        known_name: Callable[[str], str | None],
        errands: Errands,
    ) -> None:
        """``accept`` takes the questions further; True: one was new."""
        self._accept = accept
        self._sessions = sessions
        self._known_name = known_name
        self._errands = errands
        self._is_lacking = False  # the workspace has no sessions

    async def accept(self, question: Question) -> bool:
        is_new = await self._accept(question)
        if is_new and question.is_dm and question.opens_thread:
            self._errands.run(self._entitle(question))
        return is_new

    async def _entitle(self, question: Question) -> None:
        title = title_of(question.text, self._names(question))
        if not title or self._is_lacking:
            return
        try:
            await self._sessions.entitle(question.channel, question.thread_ts, title)
        except SlackRefused as error:  # it goes without; and so do others, where none can be had
            self._is_lacking = error.code in LACKING
            event(log, "titles.refused", level=logging.WARNING, code=error.code)
        except Transient as error:
            event(log, "title.lost", reason=error)

    def _names(self, question: Question) -> dict[str, str]:
        found = {user: self._known_name(user) for user in mentioned(question.text)}
        return {user: name for user, name in found.items() if name}


def title_of(text: str, names: Mapping[str, str]) -> str:
    """The beginning of a question, as on Slack's wire, in one line; "" where it has no words."""
    words = from_mrkdwn(text, names=names).replace("```", " ").replace("**", "").split()
    title = " ".join(words)
    if len(title) <= LONGEST:
        return title
    whole, _, _ = title[:LONGEST].rpartition(" ")
    return f"{whole or title[: LONGEST - 1]}…"
