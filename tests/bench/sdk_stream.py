"""The OpenAI SDK's own stream and nothing else: prints the CPU seconds that it took.

``python -m tests.bench.sdk_stream URL ANSWERS TOKENS``; as much as the bot is asked in the bench.
"""

import asyncio
import sys
import time

from openai import AsyncOpenAI


async def main(base_url: str, answers: int, tokens: int) -> None:
    async with AsyncOpenAI(api_key="none", base_url=base_url) as client:

        async def read(question: str) -> int:
            stream = await client.chat.completions.create(
                model="local-model",
                messages=[{"role": "user", "content": question}],
                stream=True,
            )
            return sum([len(chunk.choices) async for chunk in stream])

        await read("[[say warm]]")
        before = time.process_time()
        question = f"[[rate inf]] [[tokens {tokens}]]"
        await asyncio.gather(*(read(question) for _ in range(answers)))
        print(time.process_time() - before)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
