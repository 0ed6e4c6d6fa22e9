"""Asking about a message: what the person who asks sees, what others see, and what is forged."""

from pathlib import Path
from typing import Any

import pytest

from bot import inquiry_views
from bot.control_views import ADMINS_TOO
from bot.features import ASK
from bot.playground.slack import Delivery, LocalSlack
from tests.bot_process import running
from tests.process.conftest import Stage, local_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = "[[rate 40]] [[tokens 4000]]"


async def form(stage: Stage, channel: str, ts: str, *, user: str = "Ana") -> dict[str, Any]:
    """Somebody opens the form from a message's menu, and what is before them then."""
    delivery = await stage.slack.shortcut(channel, user, ts, ASK)
    await delivery.wait()
    await stage.slack.until(lambda: stage.slack.modals(user))
    return stage.slack.modals(user)[-1]


async def send(
    stage: Stage, view: dict[str, Any], *, user: str = "Ana", where: str = "", **entered: str
) -> Delivery:
    """Returns when the bot has acknowledged it."""
    state: dict[str, Any] = {}
    if words := entered.get("words"):
        state["question"] = {"question": {"type": "plain_text_input", "value": words}}
    if task := entered.get("task"):
        state["task"] = {"task": {"type": "static_select", "selected_option": {"value": task}}}
    if where:
        chosen = {"type": "radio_buttons", "selected_option": {"value": where}}
        state["where"] = {"where": chosen}
    delivery = await stage.slack.submit(user, view["id"], state)
    await delivery.wait()
    return delivery


def text_in(view: dict[str, Any]) -> str:
    """What a person reads in a modal."""
    texts = []
    for block in view["blocks"]:
        for part in (block.get("text"), *(block.get("elements") or ()), block.get("label")):
            texts.append(part.get("text", "") if isinstance(part, dict) else "")
    return "\n".join(map(str, texts))


def inputs(view: dict[str, Any]) -> list[str]:
    return [block["block_id"] for block in view["blocks"] if block["type"] == "input"]


def direct_root(stage: Stage, user: str = "Ana") -> dict[str, Any]:
    """The newest message that stands in somebody's direct messages by itself."""
    where = stage.slack.workspace.channel(stage.slack.dm(user))
    return where.messages[list(where.top)[-1]]


async def among(stage: Stage, *texts: str, **how: Any) -> tuple[str, list[str]]:
    """Ben and Ana talk in a thread of a new channel: the channel, and the ts of each message."""
    name = f"talk-{len(stage.slack.workspace.channels)}"
    channel = stage.slack.add_channel(name, members=["Ana", "Ben", "Chloe"], **how)
    written: list[str] = []
    for text in texts:
        root = written[0] if written else None
        ts = await stage.slack.say(channel, "Ben", text, thread_ts=root)
        stage.places[ts] = channel
        written.append(ts)
    return channel, written


# -- in the thread


async def test_answer_in_the_thread_is_read_by_all_with_who_asked_what(stage: Stage) -> None:
    channel, (root, second, _) = await among(stage, "The plan is A.", "Why not B?", "B is late.")

    view = await form(stage, channel, second)
    await send(stage, view, words="[[say Because.]] What is <B> & why?", where="thread")
    text = await stage.whole(root)

    asked, answer = stage.thread(root)[-2:]
    assert stage.slack.modals("Ana") == []
    assert asked["user"] == answer["user"] == stage.slack.bot_user_id
    assert asked["blocks"][0]["elements"][0]["text"].startswith("<@U0ANA> asks me about <https")
    assert asked["blocks"][1]["text"]["text"] == "[[say Because.]] What is &lt;B&gt; &amp; why?"
    assert text.endswith("Because.")
    request = stage.requests("What is <B> & why?")[-1]
    assert "The plan is A." in str(request.body) and "B is late." in str(request.body)
    assert "Ana: [[say Because.]] What is <B> & why?\\n\\n> Why not B?" in str(request.body)
