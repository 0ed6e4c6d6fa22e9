"""The blocks of Slack's Block Kit that views are made of.

Texts are Slack's mrkdwn, already escaped. Limits: docs.slack.dev/reference/block-kit.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

# Characters.
SECTION_LIMIT = 3_000
BUTTON_LIMIT = 75
OPTION_LIMIT = 75


def escape(text: str) -> str:
    """For Slack's own mrkdwn (docs.slack.dev/messaging/formatting-message-text#escaping)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mrkdwn(text: str) -> Json:
    # verbatim: Slack would otherwise make pings of what looks like one.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text, "emoji": True}


def moment(at: datetime) -> str:
    """As the reader's clock has it (docs.slack.dev, formatting dates)."""
    utc = at.astimezone(UTC)
    return f"<!date^{int(utc.timestamp())}^{{date_short_pretty}} {{time}}|{utc:%Y-%m-%d %H:%M} UTC>"


def doer(by: str) -> str:
    """Who changed something: a person by id, or in words what else it was."""
    return f"<@{by}>" if re.fullmatch(r"[UW][A-Z0-9]+", by, re.ASCII) else escape(by)


# -- blocks


def header(text: str) -> Json:
    return {"type": "header", "text": plain(text)}


def section(text: str, *, beside: Json | None = None) -> Json:
    """Cut where Slack would refuse it. ``beside`` is a button or a menu."""
    block = {"type": "section", "text": mrkdwn(text[:SECTION_LIMIT])}
    return block | ({"accessory": beside} if beside else {})


def fields(*texts: str) -> Json:
    """Up to ten, in two columns."""
    return {"type": "section", "fields": list(map(mrkdwn, texts))}


def context(*texts: str) -> Json:
    """Up to ten, small."""
    return {"type": "context", "elements": [mrkdwn(text[:SECTION_LIMIT]) for text in texts]}


def words(*leaves: Json) -> Json:
    """A line of a `rich_text`, in which nothing is taken for markup."""
    return {"type": "rich_text_section", "elements": list(leaves)}


def quote(text: str) -> Json:
    """What somebody said, as the next lines of a `rich_text`."""
    return {"type": "rich_text_quote", "elements": [leaf(text)]}


def rich_text(*lines: Json) -> Json:
    return {"type": "rich_text", "elements": list(lines)}


def leaf(text: str) -> Json:
    return {"type": "text", "text": text}


def person_leaf(user: str) -> Json:
    return {"type": "user", "user_id": user}


def channel_leaf(channel: str) -> Json:
    return {"type": "channel", "channel_id": channel}


def link_leaf(url: str, text: str) -> Json:
    return {"type": "link", "url": url, "text": text}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def divider() -> Json:
    return {"type": "divider"}


def asked(
    block_id: str,
    label: str,
    element: Json,
    *,
    tells: bool = False,
    hint: str = "",
    may_be_empty: bool = False,
) -> Json:
    """An input of a form. With ``tells`` each choice is told at once, not only when it is sent."""
    block = {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": element,
        "dispatch_action": tells,
        "optional": may_be_empty,
    }
    return block | ({"hint": plain(hint)} if hint else {})


# -- elements


def button(action_id: str, text: str, *, value: str = "", confirm: Json | None = None) -> Json:
    found = {
        "type": "button",
        "action_id": action_id,
        "text": plain(text[:BUTTON_LIMIT]),
        "value": value or action_id,
    }
    return found | ({"confirm": confirm} if confirm else {})


def are_you_sure(title: str, text: str, *, yes: str) -> Json:
    return {
        "title": plain(title),
        "text": plain(text),
        "confirm": plain(yes),
        "deny": plain("Cancel"),
    }


def menu(action_id: str, options: Mapping[str, str], *, chosen: str | None = None) -> Json:
    """``options`` are what people read by value; one may be chosen already."""
    shown = {value: _option(value, text) for value, text in options.items()}
    found = {"type": "static_select", "action_id": action_id, "options": list(shown.values())}
    return found | ({"initial_option": shown[chosen]} if chosen in shown else {})


def line(action_id: str, *, placeholder: str, longest: int) -> Json:
    return {
        "type": "plain_text_input",
        "action_id": action_id,
        "placeholder": plain(placeholder),
        "max_length": longest,
    }


def text_area(action_id: str, *, written: str, longest: int) -> Json:
    """Several lines, which begin with what is ``written`` already."""
    found = {
        "type": "plain_text_input",
        "action_id": action_id,
        "multiline": True,
        "max_length": longest,
    }
    return found | ({"initial_value": written} if written else {})


def number(action_id: str, *, least: str, most: str, written: str, placeholder: str) -> Json:
    """docs.slack.dev/reference/block-kit/block-elements/number-input-element."""
    found = {
        "type": "number_input",
        "action_id": action_id,
        "is_decimal_allowed": True,  # what is wrong with a number is said at its field
        "min_value": least,
        "max_value": most,
        "placeholder": plain(placeholder),
    }
    return found | ({"initial_value": written} if written else {})


def people_menu(action_id: str) -> Json:
    return {"type": "users_select", "action_id": action_id, "placeholder": plain("Choose somebody")}


def channel_menu(action_id: str) -> Json:
    return {
        "type": "conversations_select",
        "action_id": action_id,
        "placeholder": plain("Choose a channel"),
        "filter": {"include": ["public", "private", "mpim"], "exclude_bot_users": True},
    }


# -- whole views


def message(blocks: Sequence[Json], *, text: str) -> Json:
    """``text`` is for notifications and screen readers, which never read the blocks."""
    return {"blocks": list(blocks), "text": text}


def home(blocks: Sequence[Json]) -> Json:
    return {"type": "home", "blocks": list(blocks)}


def modal(
    title: str, blocks: Sequence[Json], *, callback_id: str, submit: str | None = None
) -> Json:
    """``title`` has up to 24 characters. Without ``submit`` there is nothing to send."""
    view = {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain(title),
        "close": plain("Close"),
        "blocks": list(blocks),
    }
    return view | ({"submit": plain(submit)} if submit else {})


def _option(value: str, text: str) -> Json:
    return {"text": plain(text[:OPTION_LIMIT]), "value": value}
