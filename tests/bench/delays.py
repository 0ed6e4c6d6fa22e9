"""Delays that a person does not see, but Slack does: until the model is asked, until the ack."""

import asyncio
import statistics

from tests.bench.stage import Finishes, running
from tests.bench.tables import Figure, in_ms


async def event_to_model() -> list[Figure]:
    """From an event to the request to the model, for a question that needs no history."""
    seconds = []
    async with running() as stage:
        finishes = Finishes(stage.slack)
        for number in range(30):
            asked = asyncio.get_running_loop().time()
            await stage.ask("general", "[[say fine, thank you]]")
            await finishes.reach(number + 1, within=10)
            seconds.append(stage.model.requests[-1].received_at - asked)
    median = statistics.median(seconds[1:])  # the first also looks up a name and connects
    return [Figure("event → model request, median", in_ms(median), "20 ms", median < 0.02)]


async def acks_under_load() -> list[Figure]:
    """Acknowledgements while 50 answers stream."""
    acks = []
    async with running() as stage:
        for number in range(50):
            stage.slack.add_channel(f"load-{number}")
            await stage.ask(f"load-{number}", "[[rate 40]] [[tokens 600]]")
        await stage.model.until(
            lambda: sum(request.tokens_sent > 0 for request in stage.model.requests) >= 50,
            timeout=20,
        )
        for _ in range(40):
            _, delivery = await stage.ask("random", "[[say yes]]")
            await delivery.wait()
            acks.append(delivery.ack_seconds or 0.0)
            await asyncio.sleep(0.1)
    median, worst = statistics.median(acks), max(acks)
    return [
        Figure("ack, 50 answers streaming: median", in_ms(median), "50 ms", median < 0.05),
        Figure("ack, 50 answers streaming: longest", in_ms(worst), "3,000 ms", worst < 3.0),
    ]
