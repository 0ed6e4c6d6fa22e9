"""What can go wrong, as a tree. Each error says what a person in Slack should read.

The sentence never holds an exception's text, a key or an address: those may carry secrets, and
say nothing to the person who asked. ``str(error)`` is for the log.
"""

from datetime import datetime
from typing import Literal

from bot.messages import Outcome

Service = Literal["Slack", "the model", "the database"]


class CannotStart(Exception):
    """Why the bot does not run, in words for the operator."""


class BotError(Exception):
    """Something that a person is told about in words."""

    sentence = "Something went wrong on my side. It is in my log; please ask again in a moment."
    outcome: Outcome = "failed"
    may_retry = True  # there is a point in asking for the answer once more


class Transient(BotError):
    """It may work when tried again."""

    def __init__(self, service: Service, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason
        self.retry_after = retry_after  # seconds, where the service named them
        self.sentence = self._sentence()

    @property
    def waiting(self) -> str:
        """What the bot waits for, to be read after "waiting: "."""
        return f"{self.service} does not answer"

    def _sentence(self) -> str:
        return (
            f"I could not reach {self.service}, though I tried repeatedly. Please ask again later."
        )


class RateLimited(Transient):
    """Refused for now: HTTP 429, or Slack's ``ratelimited`` and ``rate_limited``."""

    def __init__(self, service: Service, retry_after: float | None) -> None:
        super().__init__(service, "rate limited", retry_after=retry_after)

    @property
    def waiting(self) -> str:
        return f"{self.service} is limiting requests"

    def _sentence(self) -> str:
        return (
            f"Too many requests to {self.service} right now, and waiting did not help. "
            "Please ask again in a few minutes."
        )


class Unavailable(Transient):
    """An error of the server's own, no connection, or a time-out."""


class StreamBroken(Transient):
    """The model's stream ended or fell silent before the answer was finished."""

    def __init__(self, reason: str) -> None:
        super().__init__("the model", reason)

    @property
    def waiting(self) -> str:
        return "the connection to the model broke"

    def _sentence(self) -> str:
        return (
            "The connection to the model broke repeatedly before this answer was finished. "
            "Please ask again."
        )


class ModelError(BotError):
    """The model's server refused for good."""


class KeyRejected(ModelError):
    sentence = (
        "The model does not accept my API key, so I cannot answer anyone. "
        "Please tell whoever runs me to check OPENAI_API_KEY."
    )


class QuotaUsedUp(ModelError):
    sentence = (
        "My account with the model's provider is used up, so I cannot answer anyone. "
        "Please tell whoever runs me to check its billing."
    )


class ModelNotFound(ModelError):
    sentence = (
        "The model I am set up to use does not exist or is not open to my account. "
        "Please tell whoever runs me to check OPENAI_MODEL and OPENAI_MODELS."
    )


class QuestionTooLong(ModelError):
    sentence = (
        "This is longer than the model can read, even after I left out what I could. "
        "Please ask with less text, or in a new thread."
    )


class ImagesRefused(ModelError):
    """The model takes no images, or not these; the same prompt without them may do."""

    sentence = "The model does not take the images of this thread."


class ContentFiltered(ModelError):
    sentence = (
        "The model's content filter stopped this answer. Asking in other words may help; "
        "asking the same again probably will not."
    )


class RequestRefused(ModelError):
    sentence = (
        "The model's server refused my request. The reason is in my log; "
        "please tell whoever runs me."
    )


class EmptyAnswer(ModelError):
    sentence = "The model answered with nothing. Please ask again, perhaps in other words."


class CutAtTokenLimit(ModelError):
    sentence = (
        "The answer was cut here: it reached the limit on its length. Ask me to go on and I will."
    )
    outcome: Outcome = "cut"


class Interrupted(BotError):
    sentence = "I am being restarted. This answer goes on in a moment."
    outcome: Outcome = "stopped"


class TooLate(BotError):
    sentence = (
        "I was away for so long that this question may not matter any more, so I leave it. "
        "Please ask again if it does."
    )


class TriedTooOften(BotError):
    sentence = (
        "I began this answer several times and broke down each time, so I stopped trying. "
        "It is in my log; asking in other words may help."
    )


class QuestionGone(BotError):
    sentence = "The question was deleted, so this answer ends here."
    outcome: Outcome = "stopped"
    may_retry = False


class Stopped(BotError):
    """A person wants no more of it."""

    outcome: Outcome = "stopped"

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class NothingAsked(BotError):
    """The question was edited until no words were left in it."""

    outcome: Outcome = "complete"
    may_retry = False

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class Refused(BotError):
    """The question is not to be answered; the model is not asked."""

    outcome: Outcome = "refused"

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class RefusedPrivately(Refused):
    """A refusal that concerns the person alone, who has been told; the thread shows nothing."""


class AskedTooFast(BotError):
    """Somebody asks more often than one person may."""

    def __init__(self, most: int, first_at: datetime) -> None:
        super().__init__("asked too fast")
        self.most = most  # in a minute
        self.first_at = first_at  # UTC: of those


class AskerUnknown(BotError):
    """Slack does not tell who somebody is, so what they may do is unknown."""

    sentence = (
        "Slack does not tell me who you are, so I cannot know whether I may answer you. "
        "Please tell whoever runs me to check my scope users:read."
    )


# Refusals by which a workspace, or the app in it, lacks what a call takes:
# `not_subscribed...` is one of chat.startStream, `feature_not_enabled` comes where agents are off,
# and the rest are common to all methods (docs.slack.dev/reference/methods). Any other is about one
# channel, person or moment.
LACKING = frozenset(
    {
        "access_denied",
        "deprecated_endpoint",
        "feature_not_enabled",
        "method_deprecated",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_subscribed_to_message_stream_stopped",
        "team_access_not_granted",
        "unknown_method",
    }
)


class SlackRefused(BotError):
    """Slack answered with an error that trying again will not change, such as `missing_scope`."""

    sentence = "Slack refused the rest of this answer, so it ends here. The reason is in my log."

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"{method}: {code}")
        self.method = method
        self.code = code


class ThreadUnreadable(BotError):
    sentence = (
        "I may not read this thread, so I cannot answer in its context. "
        "Invite me to the channel (or ask whoever runs me to check my scopes), then ask again."
    )


class ReplyGone(BotError):
    """Somebody deleted the message in which the answer was growing: they do not want it."""

    outcome: Outcome = "stopped"
