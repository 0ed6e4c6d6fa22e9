"""The interactive elements of blocks: finding them, their state, and what using one says.

Shapes are from docs.slack.dev/reference/block-kit/block-elements, each on its element's page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Block = Mapping[str, Any]
Element = Mapping[str, Any]
State = Mapping[str, Mapping[str, Mapping[str, Any]]]  # block_id, action_id: as `state.values`

# In which field an element says what is chosen or typed in it. Buttons and menus that keep nothing
# are not here, because they are no part of a state.
FIELDS: Mapping[str, str] = {
    "channels_select": "selected_channel",
    "checkboxes": "selected_options",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "email_text_input": "value",
    "multi_channels_select": "selected_channels",
    "multi_conversations_select": "selected_conversations",
    "multi_static_select": "selected_options",
    "multi_users_select": "selected_users",
    "number_input": "value",
    "plain_text_input": "value",
    "radio_buttons": "selected_option",
    "static_select": "selected_option",
    "timepicker": "selected_time",
    "url_text_input": "value",
    "users_select": "selected_user",
}
_LISTS = ("selected_options", "selected_users", "selected_channels", "selected_conversations")


def elements(block: Block) -> Iterator[Element]:
    """The elements of a block, in whichever of its fields."""
    for found in (*_listed(block.get("elements")), block.get("accessory"), block.get("element")):
        if isinstance(found, dict) and found.get("action_id") and found.get("type"):
            yield found


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def find(
    blocks: Iterable[Block], action_id: str, *, block_id: str | None = None
) -> tuple[Block, Element]:
    """The element with its block; ``block_id`` decides among several. Raises ``KeyError``."""
    for block in blocks:
        if block_id is not None and block.get("block_id") != block_id:
            continue
        for element in elements(block):
            if element["action_id"] == action_id:
                return block, element
    where = f" in the block {block_id}" if block_id is not None else ""
    raise KeyError(f"There is no element with the action_id {action_id}{where}.")


def action(
    block: Block,
    element: Element,
    *,
    value: str | None,
    selected: str | Sequence[str] | None,
    action_ts: str,
) -> dict[str, Any]:
    """What using the element says, as in ``actions`` of a payload. Raises ``KeyError``.

    Feedback buttons are one element: ``value`` says which of the two was clicked.
    """
    return {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block.get("block_id", ""),
        "action_ts": action_ts,
        **_said(element, value, selected),
    }


def _said(
    element: Element, value: str | None, selected: str | Sequence[str] | None
) -> dict[str, Any]:
    chosen: list[Any] = [selected] if isinstance(selected, str) else list(selected or ())
    if element["type"] == "overflow":
        return {"selected_option": _option(element, next(iter(chosen), ""))}
    field = FIELDS.get(element["type"])
    if field is None:
        clicked = _clicked(element, value)
        return {key: clicked[key] for key in ("value", "text") if key in clicked}
    if field == "value":
        return {field: value}
    if field in ("selected_option", "selected_options"):
        chosen = [_option(element, one) for one in chosen]
    return {field: chosen if field in _LISTS else next(iter(chosen), None)}


def _clicked(element: Element, value: str | None) -> Mapping[str, Any]:
    buttons = [element.get(name, {}) for name in ("positive_button", "negative_button")]
    return next((button for button in buttons if value and button.get("value") == value), element)


def _option(element: Element, value: str) -> dict[str, Any]:
    groups = [element, *_listed(element.get("option_groups"))]
    for option in (option for group in groups for option in _listed(group.get("options"))):
        if option.get("value") == value:
            return dict(option)
    raise KeyError(f"There is no option {value!r} in the element {element['action_id']}.")


def state(blocks: Iterable[Block], given: State) -> State:
    """``state.values``: what is ``given``, else what the blocks begin with, else that it is empty.

    As in Slack every element that keeps something is there, also one that nobody touched.
    """
    values: dict[str, dict[str, Mapping[str, Any]]] = {}
    for block in blocks:
        for element in elements(block):
            field = FIELDS.get(element["type"])
            if field is None:
                continue
            block_id, action_id = str(block.get("block_id", "")), element["action_id"]
            kept = given.get(block_id, {}).get(action_id) or {field: _initial(element, field)}
            values.setdefault(block_id, {})[action_id] = {**kept, "type": element["type"]}
    return values


def _initial(element: Element, field: str) -> Any:
    empty: list[str] | None = [] if field in _LISTS else None
    return element.get(f"initial_{field.removeprefix('selected_')}", empty)


def with_action(values: State, said: Mapping[str, Any]) -> State:
    """The state after this action, when the element keeps what was chosen."""
    field = FIELDS.get(said["type"])
    if field is None:
        return values
    block_id, action_id = said["block_id"], said["action_id"]
    kept = {"type": said["type"], field: said[field]}
    return {**values, block_id: {**values.get(block_id, {}), action_id: kept}}
