"""The playground's page: a server that shows a local Slack in the browser, as people know it."""

from bot.playground.page.server import CannotListen, Command, Page, Shortcut

__all__ = ["CannotListen", "Command", "Page", "Shortcut"]
