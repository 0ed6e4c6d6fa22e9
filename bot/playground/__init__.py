"""A way to try the bot: a local Slack and a local model, on loopback, with nothing to pay."""
