"""A message of a reply while Slack streams it: what was handed over, and what comes next.

A stream can only be added to. Slack ends one by itself after some minutes, at a size of its own
choice, or where a person stops it, and says so at the next call.
"""

from dataclasses import dataclass
from typing import NamedTuple

from bot.draft import Part
from bot.pacing import Call, Lane

# Slack's words for "that stream is over" (docs.slack.dev/reference/methods/chat.appendStream; after
# about five minutes, slackapi/python-slack-sdk#1859).
OVER = "message_not_in_streaming_state"

# And for "a person used the control that Slack shows beside it".
STOPPED = "stopped_by_user"


@dataclass(slots=True)
class Streams:
    """How replies grow in this workspace: as the operator wants, less what Slack refused."""

    wanted: Lane = "edit"
    is_lacking: bool = False

    @property
    def lane(self) -> Lane:
        return "edit" if self.is_lacking else self.wanted

    @property
    def may_stand(self) -> bool:
        """Whether a process may have left one in a thread of which nothing is recorded."""
        return self.wanted != "edit"


class Move(NamedTuple):
    """What to do with a stream next."""

    call: Call
    text: str = ""  # that it adds
    leaves: bool = False  # the message goes on by edits: what it shows is not what it should


@dataclass(slots=True)
class Stream:
    """What stands in a streamed message. It has one writer, and one call under way at a time."""

    sent: str
    is_certain: bool = True  # nothing that was handed over may be missing
    is_halted: bool = False  # a person stopped it: nothing is added while that takes effect
    is_left: bool = False  # Slack takes no more of it as it should be, or another process began it
    is_late: bool = False  # its stop has to wait, so that the last words come before it

    def move(self, part: Part, settled: str, *, is_waiting: bool) -> Move | None:
        """Towards that part; None while it shows all that may be shown.

        What the answer waits for cannot be said in a stream, nor text be taken back.
        """
        fits = self.is_certain and not self.is_left and part.text.startswith(self.sent)
        if not fits or (is_waiting and not part.is_final):
            return Move("chat.stopStream", leaves=True)
        rest = part.text[len(self.sent) :]
        if part.is_final:
            return Move("chat.appendStream" if self.is_late and rest else "chat.stopStream", rest)
        news = settled[len(self.sent) :] if settled.startswith(self.sent) else ""
        return Move("chat.appendStream", news) if news and not self.is_halted else None
