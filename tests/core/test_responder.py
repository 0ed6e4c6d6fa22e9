"""The whole path of a question, with a fake Slack and a fake model, in virtual time."""

from fakes import BOT, USAGE, FakeChat, FakeLedger, FakeModel, question

from bot.errors import RateLimited
from bot.pacing import Pacer
from bot.responder import Responder
from bot.turnstile import Turnstile


def responder(model: FakeModel, chat: FakeChat, ledger: FakeLedger | None = None) -> Responder:
    return Responder(
        bot=BOT,
        chat=chat,
        model=model,
        ledger=ledger or FakeLedger(),
        turnstile=Turnstile(Pacer()),
        instructions="Be kind.",
        context_tokens=4_000,
    )


async def test_answer_grows_on_screen_and_ends_whole() -> None:
    chat = FakeChat(latency=0.1)
    model = FakeModel([0.4, "Because the moon ", 2.0, "pulls the sea.", USAGE])

    await responder(model, chat).answer(question())

    assert chat.history[0] == "Because the moon"
    assert chat.screen == ["Because the moon pulls the sea."]


async def test_rate_limited_edit_is_not_repeated() -> None:
    chat = FakeChat()
    chat.errors["update"] = [RateLimited("Slack", 5.0)]
    model = FakeModel(["a" * 20, 1.5, "b", 4.0, "c", 4.0, "d", 4.0, USAGE])

    await responder(model, chat).answer(question())

    assert chat.history == ["a" * 20, "a" * 20 + "bc", "a" * 20 + "bcd", "a" * 20 + "bcd"]
