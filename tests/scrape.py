"""What Prometheus would read, read by its own parser."""

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


class Reading:
    """The samples of one look at ``/metrics``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def of(self, name: str, **labels: str) -> float | None:
        """The sum of the samples with that name and these labels; None where there is none."""
        values = [
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(values) if values else None

    def labels(self, name: str) -> list[dict[str, str]]:
        return [sample.labels for sample in self._samples if sample.name == name]


async def scraped(port: int) -> Reading:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.status == 200
        return Reading(await answer.text())
