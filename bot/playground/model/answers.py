"""What the local model says: prepared answers, prose of any length, and text cut into tokens.

It knows no HTTP and nothing of the wire; ``model.py`` sends what this module composes.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache

# Tokenizers glue the space to the following word and cut long words. Pieces of up to eight letters
# give about four characters a token over English prose and Markdown. Each character falls under
# one of the alternatives, so joining the tokens gives the text back.
_TOKEN = re.compile(r" ?\w{1,8}| ?[^\w\s]{1,3}|\s{1,8}")

_DIRECTIVE = re.compile(r"\[\[(\w+)\s?(.*?)\]\]", re.DOTALL)
_SLACK_REFERENCE = re.compile(r"<[@#!][^>]*>")  # <@U123>, <#C1|general>, <!here>
_ADDRESS = re.compile(r"\A[^:\n]{1,80}: |(?<!\S)@\w+")  # "Ana: " before her words, and @bot
_SEAM = 24  # characters at the end of what is written, by which its place in an answer is found
_NOTHING_LEFT = "\n\nThat was all of the prepared text."
_SUBJECT_LENGTH = 70  # characters; a longer subject makes a poor quotation


def tokens_of(text: str) -> list[str]:
    """The text in pieces of about four characters, as a tokenizer would cut it; nothing is lost."""
    return _TOKEN.findall(text)


def directives(text: str) -> dict[str, str]:
    """The ``[[name argument]]`` of a message; of one name the last counts."""
    return {name.lower(): argument for name, argument in _DIRECTIVE.findall(text)}


def subject_of(question: str) -> str:
    """A line to quote: the question without directives, names and references, shortened."""
    plain = _SLACK_REFERENCE.sub("", _DIRECTIVE.sub("", _ADDRESS.sub("", question)))
    words = re.sub(r"[\s`*_|\[\]]+", " ", plain).strip()
    if len(words) <= _SUBJECT_LENGTH:
        return words or "your message"
    return words[:_SUBJECT_LENGTH].rsplit(" ", 1)[0] + "…"


def prepared_answer(question: str) -> str:
    """A prepared text that suits the question's words; the same question gets the same text."""
    words = set(re.findall(r"[a-z]+", _DIRECTIVE.sub("", question).lower()))
    subject = subject_of(question)
    if words & _GREETINGS and len(words) <= _GREETING_WORDS:
        return _GREETING
    for signs, text in _BY_SIGN:
        if words & signs:
            return text.replace("{subject}", subject)
    text = _GENERAL[zlib.crc32(question.encode()) % len(_GENERAL)]
    return text.replace("{subject}", subject)


def rest_of(answer: str, written: str) -> str:
    """What is left to be said of an answer, of which about so much is written: clients may have
    read it back in another notation."""
    seams = re.finditer(re.escape(written[-_SEAM:]), answer)
    ends = [seam.end() for seam in seams] or [len(written)]
    rest = answer[min(ends, key=lambda end: abs(end - len(written))) :]
    return rest if rest.strip() else _NOTHING_LEFT


@lru_cache(maxsize=32)  # benches ask for the same length thousands of times
def prose(count: int) -> tuple[str, ...]:
    """Exactly ``count`` tokens of varied Markdown, the same each time, with every fence closed."""
    tokens: list[str] = []
    for block in _blocks():
        piece = tokens_of(block)
        if len(tokens) + len(piece) > count:
            break
        tokens += piece
    missing = count - len(tokens)
    if missing > 0:
        tokens += _filler(missing)
    return tuple(tokens)


def _blocks() -> Iterator[str]:
    """Markdown without end: sections whose shape and sentences vary."""
    chance = random.Random(7)  # any fixed seed: the text must not change between runs
    number = 0
    while True:
        number += 1
        yield f"## {number}. {chance.choice(_TITLES)}\n\n"
        yield _paragraph(chance)
        yield _SHAPES[number % len(_SHAPES)].replace("{number}", str(number))
        yield _paragraph(chance)


def _paragraph(chance: random.Random) -> str:
    return " ".join(chance.sample(_SENTENCES, k=chance.randint(3, 5))) + "\n\n"


def _filler(count: int) -> list[str]:
    """Plain words up to the exact number, ended by one full stop."""
    words = tokens_of(" ".join(_SENTENCES))
    filler = (words * (count // len(words) + 1))[: count - 1]
    if filler and filler[-1] in (".", ",", ";"):
        filler[-1] = " indeed"
    return [*filler, "."]


_GREETINGS = frozenset({"hi", "hello", "hey", "hiya", "howdy", "morning", "thanks", "thank"})
_GREETING_WORDS = 6  # "hello, can you compare two databases for me?" is a question, no greeting

_GREETING = (
    "Hello! I am the **local stand-in model** of this playground: I answer with prepared texts.\n\n"
    "Ask for *code*, a *table* or a *summary* to see how each looks here, "
    "or steer me with `[[tokens 600]]`."
)

_CODE = """\
## A small example

You asked: *{subject}*. I am a local stand-in model, so this is a prepared text, not advice.

The idea is to keep what is **decided** apart from what is **done**. A function that only computes
is easy to test; a loop that only acts is easy to trust.

```python
from collections.abc import Iterable


def batches(items: Iterable[str], *, size: int) -> Iterable[list[str]]:
    \"\"\"Cut a stream of items into lists of at most ``size``.\"\"\"
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


for batch in batches(["a", "b", "c"], size=2):
    print(batch)  # ['a', 'b'], then ['c']
```

A few things worth noticing:

- `size` is keyword-only, so a call says what its number means.
- The last, shorter list is not forgotten.
- Nothing is read before it is needed, which suits long inputs.

From 3.12 on, the standard library has
[`itertools.batched`](https://docs.python.org/3/library/itertools.html#itertools.batched), which
does the same with tuples. To try the function, save it as `batches.py` and run:

```sh
python batches.py
```
"""

_TABLE = """\
## Side by side

You asked: *{subject}*. I am a local stand-in model, so this is a prepared text, not research.

Three common ways to keep the state of a small service, compared:

| Choice | Good at | Costs | Fits when |
|---|---|---|---|
| A file (SQLite) | no server, quick reads | one writer at a time | one process, one machine |
| PostgreSQL | many writers, locks | a server to look after | several replicas |
| Memory only | nothing to install | gone after a restart | a demo or a cache |

**How to read it.** The first column is the choice, the second what it is good at. The price is \
in the third: it is paid every day, while the gain of the second may never be needed.

1. Start with the *simplest* row that survives a restart.
2. Measure before moving on: `EXPLAIN ANALYZE` tells more than a feeling.
3. Move when two processes want to write at the same moment, not earlier.

> A table is a summary. Where a row decides something important, read what stands behind it.

The details of the first row are well described in
[Appropriate uses for SQLite](https://www.sqlite.org/whentouse.html). For the second, the chapter
on explicit locking in the PostgreSQL manual is the place to start.
"""

_SUMMARY = """\
### In short

You asked: *{subject}*. I am a local stand-in model: I did not read anything, the text is prepared.

**The gist:** the work is split into small steps, each of which can be checked alone, and the \
slow parts run side by side.

- **What changed.** Reading and showing no longer wait for each other.
- **Why.** A pause on one side used to freeze the other for several seconds.
- **What it costs.** One more task per answer, a few microseconds for every piece of text.
- **What stays.** The order of the messages, and the rule that nothing is shown twice.

Open questions:

1. Who is told when a limit is reached, and with which words?
2. How long should an interrupted answer stay visible?
3. Is one retry enough when the connection breaks in the middle?

*Next step:* try it with a long answer and watch the edits. The figure to look at is this one:

```text
first text  ▏██
last text   ▏████████████████████
```

More on writing summaries people finish reading:
[Plain language guidelines](https://www.plainlanguage.gov/guidelines/).
"""

_PLAN = """\
## Where to begin

You asked: *{subject}*. I am a local stand-in model, so take this prepared text as a sample only.

Most questions of this kind become easier once the **goal** and the **limits** are written down. \
Two sentences are enough; they save a long discussion later.

### Steps

1. **Name the result.** What would a person see when it is done?
2. **List the limits.** Time, money, and what must not break.
3. **Try the riskiest part first.** If it fails, it fails while there is time.
4. **Show it early.** A rough version in front of one user beats a plan in front of ten.

| Step | Takes | Ends with |
|---|---|---|
| Name the result | an hour | two sentences |
| Risky part | two days | a yes or a no |
| First version | a week | something to click |

A note can be as short as this:

```yaml
goal: answers appear while they are written
limits:
  - fifty edits a minute
  - no text is lost
first_try: one long answer, one reader
```

- If step 3 says *no*, go back to step 1: the result may be reached another way.
- If it says *yes*, write down why, so that nobody has to find out again.

For how such texts are formatted, see [CommonMark in ten minutes](https://commonmark.org/help/).
"""

_EXPLANATION = """\
## How to think about it

You asked: *{subject}*. I am a local stand-in model and this text is prepared, so do not rely on it.

A picture helps: a **stream** is a tap, not a bucket. What has come out can be used at once, what \
comes next is unknown, and someone may close the tap at any moment.

Three things follow:

- *Use what is there.* Waiting for the end makes people look at nothing.
- *Expect the end anywhere.* In a word, in a table, between two halves of a code block.
- *Know how it ended.* "Finished" and "interrupted" look alike unless somebody asks.

In code the difference is a single question:

```python
async for piece in stream:
    draft.push(piece.text)

if stream.finish_reason is None:
    raise Interrupted(draft.text)  # the tap was closed before the last drop
```

### Which part is hard?

| Part | Looks | Is |
|---|---|---|
| Reading the pieces | hard | easy |
| Showing them calmly | easy | harder |
| Stopping in time | trivial | the hardest |

1. Start with the reading, because everything needs it.
2. Then stop it on purpose, at ten different places.
3. Only then make it pretty.

> If it can stop anywhere and nothing is lost, the rest is decoration.

Further reading: [Server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

_GENERAL = (_PLAN, _EXPLANATION)

_BY_SIGN = (
    (
        frozenset({"code", "function", "python", "script", "bug", "regex", "sql", "implement"}),
        _CODE,
    ),
    (frozenset({"table", "compare", "comparison", "versus", "vs", "difference"}), _TABLE),
    (
        frozenset({"summary", "summarise", "summarize", "recap", "tldr", "digest", "shorten"}),
        _SUMMARY,
    ),
)

_TITLES = (
    "A place to start",
    "What people notice",
    "The cost of waiting",
    "When things break",
    "Measuring it",
    "An example",
    "What is left",
)

_SENTENCES = (
    "The text grows while you read it, and that is the point.",
    "A short pause is fine; a long one needs a sign of life.",
    "Nothing that was shown should ever disappear.",
    "Two people may ask at the same moment, and **both** expect an answer.",
    "Limits are easier to respect when they are counted in *one* place.",
    "Some words are long, such as internationalisation, and are cut into several tokens.",
    "Others contain `code`, an arrow → or an accent: café, naïve, Größe.",
    "If the connection breaks, start again and say so.",
    "A number without its unit is only half a fact.",
    "The last edit matters most, because it is the one that stays.",
    "Read the [CommonMark help](https://commonmark.org/help/) when in doubt.",
    "Most of the time, the simple thing is fast enough.",
    "Quoting helps: people forget what they asked a minute ago.",
    "Emoji count as well 🙂 and take more than one byte.",
)

_SHAPES = (
    "- first, the thing itself;\n- second, *why* it is there;\n- third, what it costs.\n\n",
    "```python\ndef section_{number}(text: str) -> int:\n"
    '    """Count the words."""\n    return len(text.split())\n```\n\n',
    "| Round | Tokens | Seconds |\n|---|---:|---:|\n"
    "| {number} | 300 | 7.5 |\n| after | 600 | 15.0 |\n\n",
    "> A quotation in section {number}, to see how it is set apart.\n\n",
    "1. Ask.\n2. Wait a little.\n3. Read section {number} again.\n\n",
)
