"""What holds for all tests in virtual time."""

import pytest

from bot import retries


@pytest.fixture(autouse=True)
def _exact_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the jitter beyond a Retry-After, waits can be compared."""
    monkeypatch.setattr(retries, "JITTER", 0.0)
