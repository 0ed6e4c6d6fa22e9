"""What travels through a form and comes back is as it was, and belongs to the same person.

Slack keeps a form's ``private_metadata`` to itself, but a payload is believed in nothing but who
sent it: this makes the rest provable, in whichever process the form was opened.
"""

import hashlib
import hmac

_DIGITS = 32  # of the signature, in hex: 128 bits


class Seal:
    """Signs with a secret that all processes of one bot share."""

    def __init__(self, secret: str) -> None:
        # Not the secret itself: what is signed here could be handed to its other users.
        self._key = hashlib.sha256(f"llmbot seal\n{secret}".encode()).digest()

    def close(self, text: str, user: str) -> str:
        """The text, sealed for that person."""
        return self._signature(text, user) + text

    def open(self, sealed: str, user: str) -> str | None:
        """The text; None where it was not sealed here, or for somebody else."""
        signature, text = sealed[:_DIGITS], sealed[_DIGITS:]
        expected = self._signature(text, user)
        is_ours = hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())
        return text if is_ours else None

    def _signature(self, text: str, user: str) -> str:
        signed = f"{user}\n{text}".encode("utf-8", "replace")
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()[:_DIGITS]
