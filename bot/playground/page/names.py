"""Who and what has which name, and how a mention of it looks."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.playground.page.html import Html, tag

BROADCASTS = ("here", "channel", "everyone")


@dataclass(frozen=True, slots=True)
class Names:
    """Names to read by id."""

    people: Mapping[str, str]
    channels: Mapping[str, str]


def person(id: str, *, names: Names, label: str = "") -> Html:
    """A mention of a person, by the present name, not by the one that the writer knew."""
    name = names.people.get(id) or label or id
    return tag("span", f"@{name}", class_="mention", data_user=id)


def channel(id: str, *, names: Names, label: str = "") -> Html:
    """A link to a channel."""
    name = names.channels.get(id) or label or id
    return tag("span", f"#{name}", class_="channel-link", data_channel=id)


def broadcast(range: str) -> Html:
    """``@here`` and the like, and user groups."""
    return tag("span", f"@{range}", class_="mention broadcast")
