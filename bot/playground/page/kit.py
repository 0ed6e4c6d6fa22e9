"""Block Kit as HTML: the blocks of a message, a modal or an App Home.

Source: docs.slack.dev/reference/block-kit/blocks. Whatever shape the JSON has, it gives HTML.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from bot.playground.page import links, markdown, mrkdwn, rich_text
from bot.playground.page.elements import Place, render_element, text_html, text_of
from bot.playground.page.html import Html, join, tag
from bot.playground.page.names import Names
from bot.playground.page.shape import Object, a_string, an_object, items, objects

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_FILE_ID = re.compile(r"F[A-Z0-9]{1,32}")


def message_html(message: Object, *, names: Names) -> Html:
    """What a person reads in a message: its blocks when it has some, else its text."""
    place = Place(names=names, scope=a_string(message.get("ts")))
    parts = [_body(message, place)]
    parts += [_attachment(attachment, place) for attachment in objects(message.get("attachments"))]
    parts += [_file(file) for file in objects(message.get("files"))]
    return join(parts)


def blocks_html(blocks: object, *, names: Names, state: Mapping[str, object] | None = None) -> Html:
    """Blocks beneath each other; ``state`` is what the person has filled in, as Slack keeps it."""
    return _blocks(blocks, Place(names=names, state=state or {}))


def _body(message: Object, place: Place) -> Html:
    blocks = _blocks(message.get("blocks"), place)
    text = a_string(message.get("text"))
    if blocks or not text:
        return blocks
    return tag("div", mrkdwn.render(text, names=place.names), class_="plain")


def _blocks(blocks: object, place: Place) -> Html:
    return join([_block(block, place) for block in objects(blocks)])


def _block(block: Object, place: Place) -> Html:
    kind = a_string(block.get("type"))
    make = _MAKERS.get(kind)
    if make is None:
        return tag("div", f"[a block of type {kind or 'none'}]", class_="context")
    return make(block, replace(place, block_id=a_string(block.get("block_id"))))


def _attachment(attachment: Object, place: Place) -> Html:
    """Slack's older way of adding to a message (docs.slack.dev/legacy/legacy-messaging)."""
    parts = [
        _title(attachment),
        *(_paragraph(attachment.get(name), place) for name in ("pretext", "text")),
        *(_legacy_field(field, place) for field in objects(attachment.get("fields"))),
        _blocks(attachment.get("blocks"), place),
    ]
    if not any(parts):
        parts = [_paragraph(attachment.get("fallback"), place)]
    return tag("div", *parts, class_="attachment")


def _legacy_field(field: Object, place: Place) -> Html:
    title = tag("strong", a_string(field.get("title")))
    return tag("p", title, " ", mrkdwn.render(a_string(field.get("value")), names=place.names))


def _paragraph(text: object, place: Place) -> Html:
    words = a_string(text)
    return tag("div", mrkdwn.render(words, names=place.names)) if words else Html()


def _title(attachment: Object) -> Html:
    words = a_string(attachment.get("title"))
    if not words:
        return Html()
    label = tag("strong", words)
    return links.link(a_string(attachment.get("title_link")), label, reads=words) or label


def _file(file: Object) -> Html:
    """Its name and size; the page's script puts the picture of an image beneath."""
    name = a_string(file.get("title")) or a_string(file.get("name")) or "without a name"
    size = file.get("size")
    words = f"File: {name}" + (f", {in_words(size)}" if isinstance(size, int) else "")
    id = a_string(file.get("id"))
    has_picture = a_string(file.get("mimetype")) in PICTURES and _FILE_ID.fullmatch(id)
    image = {"data_type": "image", "data_value": id} if has_picture else {}
    return tag("div", tag("span", words), class_="file", **image)


def in_words(size: int) -> str:
    """Of so many bytes: ``12 kB``."""
    for unit, bytes_ in (("MB", 1_000_000), ("kB", 1_000)):
        if size >= bytes_:
            return f"{size / bytes_:.3g} {unit}"
    return f"{size} bytes"


# -- one function per kind of block


def _section(block: Object, place: Place) -> Html:
    parts = []
    if block.get("text") is not None:
        parts.append(tag("div", text_html(block["text"], names=place.names), class_="section-text"))
    fields = objects(block.get("fields"))
    if fields:
        cells = [tag("div", text_html(field, names=place.names)) for field in fields]
        parts.append(tag("div", *cells, class_="fields"))
    accessory = an_object(block.get("accessory"))
    if accessory:
        parts.append(tag("div", render_element(accessory, place), class_="accessory"))
    return tag("div", *parts, class_="section")


def _context(block: Object, place: Place) -> Html:
    parts = [
        render_element(element, place)
        if element.get("type") == "image"
        else tag("span", text_html(element, names=place.names))
        for element in objects(block.get("elements"))
    ]
    return tag("div", *_spaced(parts), class_="context")


def _spaced(parts: list[Html]) -> list[str]:
    return [part for each in parts for part in (each, " ")][:-1]


def _elements(class_: str) -> Callable[[Object, Place], Html]:
    def make(block: Object, place: Place) -> Html:
        parts = [render_element(element, place) for element in objects(block.get("elements"))]
        return tag("div", *parts, class_=class_)

    return make


def _input(block: Object, place: Place) -> Html:
    element = an_object(block.get("element"))
    label = mrkdwn.plain(text_of(block.get("label")))
    is_group = element.get("type") in ("radio_buttons", "checkboxes")
    inside = replace(
        place,
        dispatches=block.get("dispatch_action") is True,
        is_labelled=True,
        is_required=block.get("optional") is not True,
        is_optional=block.get("optional") is True,
    )
    # A label can name one input only; a group has a fieldset of its own, named by its legend.
    outer, inner = ("fieldset", "legend") if is_group else ("label", "span")
    labelled = tag(outer, tag(inner, label, class_="label"), render_element(element, inside))
    hint = text_of(block.get("hint"))
    shown_hint = tag("div", mrkdwn.plain(hint), class_="hint") if hint else ""
    return tag("div", labelled, shown_hint, class_="input", data_block=place.block_id)


def _header(block: Object, _: Place) -> Html:
    words = mrkdwn.plain(text_of(block.get("text")))
    return tag("div", words, class_="header", role="heading", aria_level="3")


def _image(block: Object, place: Place) -> Html:
    title = text_of(block.get("title"))
    caption = tag("div", mrkdwn.plain(title)) if title else ""
    return tag("div", caption, render_element({**block, "type": "image"}, place), class_="plain")


def _video(block: Object, _: Place) -> Html:
    title = text_of(block.get("title")) or a_string(block.get("alt_text"))
    url = a_string(block.get("title_url")) or a_string(block.get("video_url"))
    linked = links.link(url, mrkdwn.plain(title), reads=title)
    return tag("div", "Video: ", linked or f"{title} {url}", class_="plain")


def _table(block: Object, place: Place) -> Html:
    # Columns without settings are null.
    columns = items(block.get("column_settings"))
    sides = [a_string(an_object(column).get("align")) for column in columns]
    made = [
        tag("tr", *_cells(objects(row), sides, place, name="td" if at else "th"))
        for at, row in enumerate(items(block.get("rows")))
    ]
    table = tag("table", tag("thead", *made[:1]), tag("tbody", *made[1:]))
    return tag("div", tag("div", table, class_="table"), class_="rich-text")


def _cells(row: list[Object], sides: list[str], place: Place, *, name: str) -> list[Html]:
    cells = []
    for at, cell in enumerate(row):
        side = sides[at] if at < len(sides) else ""
        class_ = f"align-{side}" if side in ("left", "center", "right") else None
        cells.append(tag(name, _cell(cell, place), class_=class_))
    return cells


def _cell(cell: Object, place: Place) -> Html:
    if cell.get("type") == "rich_text":
        return rich_text.elements_html(cell, names=place.names)
    return mrkdwn.plain(a_string(cell.get("text")))


_MAKERS: dict[str, Callable[[Object, Place], Html]] = {
    "actions": _elements("actions"),
    "context": _context,
    "context_actions": _elements("context-actions"),
    "divider": lambda *_: tag("hr", class_="divider"),
    "file": lambda block, _: _file({"title": block.get("external_id")}),
    "header": _header,
    "image": _image,
    "input": _input,
    "markdown": lambda block, place: markdown.render(
        a_string(block.get("text")), names=place.names
    ),
    "rich_text": lambda block, place: rich_text.render(block, names=place.names),
    "section": _section,
    "table": _table,
    "video": _video,
}
