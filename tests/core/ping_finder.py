"""What would notify or link somebody in Slack, told apart without the help of the code it tests."""

import re

# docs.slack.dev, "Formatting message text": mentions, special mentions, and the bare words that
# Slack's clients turn into them. A zero width space anywhere inside makes them plain text.
_PINGS = re.compile(
    r"<@[UW][A-Z0-9]+(?:\|[^<>\n]*)?>"
    r"|<#C[A-Z0-9]+(?:\|[^<>\n]*)?>"
    r"|<!(?:(?i:here|channel|everyone)|subteam\^[A-Z0-9]+)(?:\|[^<>\n]*)?>"
    r"|(?<![A-Za-z0-9])@(?i:here|channel|everyone)(?![A-Za-z0-9_])"
)


def pings(text: str) -> list[str]:
    return _PINGS.findall(text)
