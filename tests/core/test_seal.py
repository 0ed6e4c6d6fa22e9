"""A seal: only what was sealed with the same secret, for the same person, is opened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.seal import Seal

SEAL = Seal("xoxb-1")


@given(st.text(), st.text(max_size=20))
def test_what_was_sealed_is_opened_by_any_process(text: str, user: str) -> None:
    assert Seal("xoxb-1").open(SEAL.close(text, user), user) == text


@given(st.text(max_size=50), st.integers(0, 40), st.characters())
def test_what_was_changed_is_not(text: str, at: int, character: str) -> None:
    sealed = SEAL.close(text, "UANA")
    changed = sealed[:at] + character + sealed[at + 1 :]

    assert SEAL.open(changed, "UANA") in ((text,) if changed == sealed else (None,))


@pytest.mark.parametrize("user", ["UBEN", "", "UANA\n"])
def test_what_was_sealed_for_another_is_not(user: str) -> None:
    assert SEAL.open(SEAL.close("text", "UANA"), user) is None


@pytest.mark.parametrize("sealed", ["", "text", "0" * 32, "é" * 40, "0" * 32 + "text"])
def test_what_was_never_sealed_is_not(sealed: str) -> None:
    assert SEAL.open(sealed, "UANA") is None


def test_secret_is_another_for_another_bot() -> None:
    assert Seal("xoxb-2").open(SEAL.close("text", "UANA"), "UANA") is None
