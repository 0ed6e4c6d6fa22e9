"""A local Slack: the Web API methods that the bot uses, its events, its limits, its faults."""

from bot.playground.slack.delivery import Delivery
from bot.playground.slack.faults import Fault, Faults
from bot.playground.slack.limits import Budget, Limits
from bot.playground.slack.server import SCOPES, Entry, LocalSlack
from bot.playground.slack.webapi import Call

__all__ = [
    "SCOPES",
    "Budget",
    "Call",
    "Delivery",
    "Entry",
    "Fault",
    "Faults",
    "Limits",
    "LocalSlack",
]
