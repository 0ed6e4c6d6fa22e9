"""The bot, whose longest answer is short, so that nobody waits for all its messages."""

import sys

from bot import openai_stream
from bot.__main__ import main

openai_stream.LONGEST_ANSWER = 25_000

if __name__ == "__main__":
    sys.exit(main())
