"""How Slack's Web API says no."""

from typing import Any


class ApiError(Exception):
    """A call that Slack answers with ``{"ok": false, "error": ...}`` (and HTTP 200)."""

    def __init__(self, error: str, **fields: Any) -> None:
        super().__init__(error)
        self.answer: dict[str, Any] = {"ok": False, "error": error, **fields}


def invalid(error: str, message: str) -> ApiError:
    """An error that says where the fault is, as Slack does for blocks and other JSON."""
    return ApiError(error, errors=[message], response_metadata={"messages": [f"[ERROR] {message}"]})
