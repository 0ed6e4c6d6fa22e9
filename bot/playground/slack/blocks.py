"""Block Kit as far as a bot meets it: what Slack refuses, and what a person sees."""

import re
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from typing import Any

from bot.playground.slack.errors import ApiError, invalid

Block = Mapping[str, Any]

MESSAGE_BLOCKS = 50  # docs.slack.dev/reference/block-kit/blocks
VIEW_BLOCKS = 100
MARKDOWN = 12_000  # characters over all markdown blocks of a message, ditto /markdown-block
SECTION_TEXT = 3_000  # characters, ditto /section-block
SECTION_FIELDS = 10
HEADER_TEXT = 150  # characters, ditto /header-block
BUTTON_TEXT = 75  # characters, docs.slack.dev/reference/block-kit/block-elements/button-element
ELEMENTS = {"actions": 25, "context": 10, "context_actions": 5}
TABLE_ROWS, TABLE_CELLS = 100, 20


def check(blocks: object, *, most: int = MESSAGE_BLOCKS) -> list[dict[str, Any]]:
    """The blocks as a list, or the ``ApiError`` with which Slack refuses them."""
    if not isinstance(blocks, list):
        raise ApiError("invalid_blocks_format")
    if len(blocks) > most:
        raise ApiError("msg_blocks_too_many")
    for position, block in enumerate(blocks):
        _check_block(block, f"/blocks/{position}")
    # Measured: refused from about 13,200 characters over all blocks (bolt-js#2509).
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > MARKDOWN:
        raise ApiError("msg_blocks_too_long")
    if sum(block["type"] == "table" for block in blocks) > 1:
        raise ApiError("only_one_table_allowed")
    _check_ids([block["block_id"] for block in blocks if block.get("block_id")])
    return blocks


def _check_block(block: object, pointer: str) -> None:
    if not isinstance(block, dict):
        raise invalid("invalid_blocks", f"must be an object [json-pointer:{pointer}]")
    checker = _CHECKS.get(str(block.get("type")))
    if checker is None:
        raise invalid("invalid_blocks", f"unsupported type: {block.get('type')} [{pointer}/type]")
    checker(block, pointer)


def _check_ids(ids: list[str]) -> None:
    if len(set(ids)) < len(ids):
        raise invalid("invalid_blocks", "`block_id` must be unique [json-pointer:/blocks]")


def _anything(block: Block, pointer: str) -> None:
    """A block whose inside this local Slack does not look at."""


def _check_markdown(block: Block, pointer: str) -> None:
    text = block.get("text")
    if not isinstance(text, str) or not text:
        message = f"must be a string of more than 0 characters [json-pointer:{pointer}/text]"
        raise invalid("invalid_blocks", message)


def _check_section(block: Block, pointer: str) -> None:
    fields = block.get("fields")
    if block.get("text") is None and not fields:
        raise invalid("invalid_blocks", f"must have `text` or `fields` [json-pointer:{pointer}]")
    if block.get("text") is not None:
        _check_text(block["text"], f"{pointer}/text", most=SECTION_TEXT)
    if fields is not None:
        _check_list(fields, f"{pointer}/fields", most=SECTION_FIELDS)


def _check_header(block: Block, pointer: str) -> None:
    _check_text(block.get("text"), f"{pointer}/text", most=HEADER_TEXT)
    if block["text"]["type"] != "plain_text":
        raise invalid("invalid_blocks", f"must be plain_text [json-pointer:{pointer}/text/type]")


def _check_elements(block: Block, pointer: str) -> None:
    elements = block.get("elements")
    _check_list(elements, f"{pointer}/elements", most=ELEMENTS[block["type"]])
    for position, element in enumerate(elements or ()):
        if element.get("type") == "button":
            _check_text(
                element.get("text"), f"{pointer}/elements/{position}/text", most=BUTTON_TEXT
            )


def _check_rich_text(block: Block, pointer: str) -> None:
    elements = block.get("elements")
    if not isinstance(elements, list) or not all(isinstance(part, dict) for part in elements):
        message = f"must be a list of objects [json-pointer:{pointer}/elements]"
        raise invalid("invalid_blocks", message)


def _check_table(block: Block, pointer: str) -> None:
    rows = block.get("rows")
    _check_list(rows, f"{pointer}/rows", most=TABLE_ROWS, of=list)
    for position, row in enumerate(rows or ()):
        _check_list(row, f"{pointer}/rows/{position}", most=TABLE_CELLS)


def _check_list(
    items: object, pointer: str, *, most: int, of: type[dict[Any, Any]] | type[list[Any]] = dict
) -> None:
    if not isinstance(items, list) or not all(isinstance(item, of) for item in items):
        raise invalid("invalid_blocks", f"must be a list [json-pointer:{pointer}]")
    if not 0 < len(items) <= most:
        raise invalid("invalid_blocks", f"must have 1 to {most} items [json-pointer:{pointer}]")


def _check_text(text: object, pointer: str, *, most: int) -> None:
    if not isinstance(text, dict) or text.get("type") not in ("mrkdwn", "plain_text"):
        raise invalid("invalid_blocks", f"must be a text object [json-pointer:{pointer}]")
    words = text.get("text")
    if not isinstance(words, str) or not 0 < len(words) <= most:
        message = f"must be 1 to {most} characters [json-pointer:{pointer}/text]"
        raise invalid("invalid_blocks", message)


_CHECKS: dict[str, Callable[[Block, str], None]] = {
    "actions": _check_elements,
    "alert": _anything,
    "card": _anything,
    "carousel": _anything,
    "context": _check_elements,
    "context_actions": _check_elements,
    "divider": _anything,
    "file": _anything,
    "header": _check_header,
    "image": _anything,
    "input": _anything,
    "markdown": _check_markdown,
    "plan": _anything,
    "rich_text": _check_rich_text,
    "section": _check_section,
    "table": _check_table,
    "task_card": _anything,
    "video": _anything,
}


def visible_text(message: Mapping[str, Any]) -> str:
    """What a person reads in ``message``: its blocks when it has some, else its text.

    The text of a ``markdown`` block is given as it was sent; ``&amp;``, ``&lt;`` and ``&gt;`` of
    other text are shown as the characters. Buttons are not text.
    """
    blocks = message.get("blocks")
    if blocks:
        return "\n".join(filter(None, map(block_text, blocks)))
    parts = [unescape(message.get("text", ""))]
    for attachment in message.get("attachments", ()):
        parts.append(attachment.get("text") or attachment.get("fallback") or "")
        parts.extend(map(block_text, attachment.get("blocks", ())))
    return "\n".join(filter(None, parts))


def block_text(block: Block) -> str:
    """The visible text of one block, empty for those that show none."""
    reader = _READERS.get(block["type"])
    return reader(block) if reader else ""


def _object_text(text: Any) -> str:
    if not isinstance(text, dict):
        return ""
    return unescape(text["text"]) if text.get("type") == "mrkdwn" else str(text.get("text", ""))


def _section_text(block: Block) -> str:
    texts = [block.get("text"), *block.get("fields", ())]
    return "\n".join(filter(None, map(_object_text, texts)))


def _context_text(block: Block) -> str:
    return " ".join(filter(None, map(_object_text, block["elements"])))


def _rich_text(block: Block) -> str:
    return "\n".join(map(_rich_part, block["elements"]))


def _rich_part(part: Block) -> str:
    if part.get("type") == "rich_text_list":
        ordered = part.get("style") == "ordered"
        indent = "  " * part.get("indent", 0)
        items = enumerate(map(_rich_part, part.get("elements", ())), 1)
        return "\n".join(f"{indent}{f'{n}.' if ordered else '•'} {item}" for n, item in items)
    return "".join(map(_rich_leaf, part.get("elements", ())))


def _rich_leaf(leaf: Block) -> str:
    reader = _LEAVES.get(str(leaf.get("type")))
    return reader(leaf) if reader else str(leaf.get("text", ""))


_LEAVES: dict[str, Callable[[Block], str]] = {
    "broadcast": lambda leaf: f"@{leaf.get('range')}",
    "channel": lambda leaf: f"<#{leaf.get('channel_id')}>",
    "emoji": lambda leaf: f":{leaf.get('name')}:",
    "link": lambda leaf: str(leaf.get("text") or leaf.get("url")),
    "user": lambda leaf: f"<@{leaf.get('user_id')}>",
    "usergroup": lambda leaf: f"<!subteam^{leaf.get('usergroup_id')}>",
}


def _table_text(block: Block) -> str:
    return "\n".join(" | ".join(map(_cell_text, row)) for row in block["rows"])


def _cell_text(cell: Block) -> str:
    return _rich_text(cell) if cell.get("type") == "rich_text" else str(cell.get("text", ""))


_READERS: dict[str, Callable[[Block], str]] = {
    "context": _context_text,
    "header": lambda block: _object_text(block["text"]),
    "image": lambda block: str(block.get("alt_text", "")),
    "markdown": lambda block: str(block["text"]),
    "rich_text": _rich_text,
    "section": _section_text,
    "table": _table_text,
}


def as_rich_text(markdown: str) -> dict[str, Any]:
    """A ``rich_text`` block that shows about the same as ``markdown``.

    Whether Slack hands ``markdown`` blocks back unchanged or like this is not documented. Tables
    and headings stay plain text.
    """
    return {"type": "rich_text", "elements": list(_rich_elements(markdown.split("\n")))}


_FENCE = re.compile(r"\s*```")
_QUOTE = re.compile(r"> ?(.*)")
_ITEM = re.compile(r"(\s*)(?:[-*+]|(\d+)[.)])\s+(.*)")


def _rich_elements(lines: list[str]) -> Iterator[dict[str, Any]]:
    position = 0
    while position < len(lines):
        for kind in (_fence, _quote, _list, _paragraph):
            element, used = kind(lines, position)
            if used:
                position += used
                break
        if element is not None:
            yield element


_Found = tuple[dict[str, Any] | None, int]  # an element, and how many lines it took


def _fence(lines: list[str], start: int) -> _Found:
    if not _FENCE.match(lines[start]):
        return None, 0
    end = start + 1
    while end < len(lines) and not _FENCE.match(lines[end]):
        end += 1
    text = {"type": "text", "text": "\n".join(lines[start + 1 : end])}
    return {"type": "rich_text_preformatted", "elements": [text]}, end + 1 - start


def _quote(lines: list[str], start: int) -> _Found:
    found = _run(lines, start, _QUOTE)
    if not found:
        return None, 0
    text = "\n".join(match[1] for match in found)
    return {"type": "rich_text_quote", "elements": list(_spans(text))}, len(found)


def _list(lines: list[str], start: int) -> _Found:
    first = _ITEM.match(lines[start])
    if first is None:
        return None, 0
    found = [first]
    for match in _run(lines, start + 1, _ITEM):
        # Another depth or another kind of list is another element, as in Slack's own messages.
        if len(match[1]) != len(first[1]) or bool(match[2]) != bool(first[2]):
            break
        found.append(match)
    items = [{"type": "rich_text_section", "elements": list(_spans(match[3]))} for match in found]
    element = {
        "type": "rich_text_list",
        "style": "ordered" if first[2] else "bullet",
        "indent": len(first[1]) // 2,
        "elements": items,
    }
    return element, len(found)


def _paragraph(lines: list[str], start: int) -> _Found:
    end = start + 1
    if not lines[start].strip():
        return None, 1
    while end < len(lines) and lines[end].strip() and not _starts_block(lines[end]):
        end += 1
    text = "\n".join(lines[start:end])
    return {"type": "rich_text_section", "elements": list(_spans(text))}, end - start


def _starts_block(line: str) -> bool:
    return any(pattern.match(line) for pattern in (_FENCE, _QUOTE, _ITEM))


def _run(lines: list[str], start: int, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    found = []
    for line in lines[start:]:
        match = pattern.match(line)
        if match is None:
            break
        found.append(match)
    return found


_SPAN = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|\*\*(?P<bold>[^*\n]+)\*\*"
    r"|~~(?P<strike>[^~\n]+)~~"
    r"|(?<![\w*])\*(?P<star>[^*\s][^*\n]*)\*"
    r"|(?<!\w)_(?P<italic>[^_\n]+)_(?!\w)"
    r"|\[(?P<label>[^\]\n]+)\]\((?P<url>[^)\s]+)\)"
)
_STYLES = {"star": "italic"}  # *so* and _so_ look the same


def _spans(text: str) -> Iterator[dict[str, Any]]:
    end = 0
    for match in _SPAN.finditer(text):
        if match.start() > end:
            yield {"type": "text", "text": text[end : match.start()]}
        yield _span(match)
        end = match.end()
    if end < len(text):
        yield {"type": "text", "text": text[end:]}


def _span(match: re.Match[str]) -> dict[str, Any]:
    if match["url"]:
        return {"type": "link", "url": match["url"], "text": match["label"]}
    kind = str(match.lastgroup)
    return {"type": "text", "text": match[kind], "style": {_STYLES.get(kind, kind): True}}
