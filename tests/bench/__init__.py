"""What the README claims, measured here: the bot under load, beside two common patterns."""
