"""A local model: a server that speaks chat completions, writes prepared texts, and can fail."""

from bot.playground.model.completions import Usage
from bot.playground.model.exchanges import Request
from bot.playground.model.faults import ModelFault
from bot.playground.model.server import LocalModel

__all__ = ["LocalModel", "ModelFault", "Request", "Usage"]
