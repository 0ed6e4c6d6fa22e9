"""App Home and modals: the views of each person, and what an app does with them.

Facts are from docs.slack.dev/surfaces/modals and docs.slack.dev/reference/views.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from bot.playground.slack.arguments import Args
from bot.playground.slack.blocks import VIEW_BLOCKS, check
from bot.playground.slack.content import new_numbers
from bot.playground.slack.elements import State, elements, state
from bot.playground.slack.errors import ApiError, invalid
from bot.playground.slack.workspace import APP_ID, BOT_ID, TEAM_ID, Change, Workspace

View = dict[str, Any]
Answer = dict[str, Any]

MODALS = 3  # views in a stack
VIEW_SIZE = 250_000  # bytes of JSON (docs.slack.dev/reference/methods/views.open)
METADATA = 3_000  # characters of `private_metadata` (docs.slack.dev/reference/views)
TITLE = 24  # characters, ditto of `submit` and `close`
# What Slack shows when a submission is not acknowledged in time (bolt-python#1318), or is so with
# something that it does not understand, such as {"ok": true} (inkeep/agents#2228).
TROUBLE = "We had some trouble connecting. Try again?"


# The methods of the Web API


def publish_view(workspace: Workspace, args: Args) -> Answer:
    args.needs("user_id")
    person = args.text("user_id")
    if person not in workspace.people:
        raise ApiError("user_not_found")
    given = _given(args, "home")
    old = workspace.homes.get(person)
    _check_hash(args, old)
    view = _renewed(given, old) if old else _new(given, [])
    workspace.homes[person] = view
    _changed(workspace, person)
    return {"ok": True, "view": view}


def open_view(workspace: Workspace, args: Args) -> Answer:
    """A modal on its own; it takes the place of those that were open."""
    args.needs("trigger_id")
    given = _given(args, "modal")
    _check_external_id(workspace, given)
    person = workspace.triggers.exchange(args.text("trigger_id"))
    close_all(workspace, person)
    return {"ok": True, "view": _put(workspace, person, given)}


def push_view(workspace: Workspace, args: Args) -> Answer:
    args.needs("trigger_id")
    given = _given(args, "modal")
    _check_external_id(workspace, given)
    person = workspace.triggers.exchange(args.text("trigger_id"))
    if not workspace.modals.get(person):
        raise ApiError("not_found")
    return {"ok": True, "view": _put(workspace, person, given)}


def update_view(workspace: Workspace, args: Args) -> Answer:
    person, old = _named(workspace, args)
    given = _given(args, "modal")
    _check_hash(args, old)
    if given.get("external_id", "") != old["external_id"]:
        _check_external_id(workspace, given)
    return {"ok": True, "view": _replace(workspace, person, old, given)}


# What a person does with modals


def find_view(workspace: Workspace, person: str, view_id: str) -> View:
    """A modal or the App Home of this person. Raises ``KeyError``."""
    home = workspace.homes.get(person)
    shown: list[View] = [*workspace.modals.get(person, ()), *([home] if home else [])]
    for view in shown:
        if view["id"] == view_id:
            return view
    raise KeyError(f"{person} has no view {view_id}.")


def fill(workspace: Workspace, person: str, view: View, given: State) -> View:
    """Keep what is typed and chosen in a view, so that it stays when the view changes.

    Raises ``ValueError`` (of msgspec) when ``given`` is no ``state.values``.
    """
    values = state(view["blocks"], msgspec.convert(given, State))
    filled = {**view, "state": {"values": values}}
    if view["type"] == "home":
        workspace.homes[person] = filled
    else:
        modals = workspace.modals[person]
        modals[modals.index(view)] = filled
    _changed(workspace, person)
    return filled


def show_errors(workspace: Workspace, person: str, view_id: str, errors: Mapping[str, str]) -> None:
    """Show sentences at the inputs by ``block_id``, under ``""`` at the modal; none: take away."""
    if errors:
        workspace.view_errors[view_id] = dict(errors)
    else:
        workspace.view_errors.pop(view_id, None)
    _changed(workspace, person)


def close_top(workspace: Workspace, person: str) -> None:
    view = workspace.modals[person].pop()
    workspace.view_errors.pop(view["id"], None)
    _changed(workspace, person)


def close_all(workspace: Workspace, person: str) -> None:
    while workspace.modals.get(person):
        close_top(workspace, person)


def obey(workspace: Workspace, person: str, view_id: str, response: Any) -> None:
    """Do what the app acknowledged a submission with: nothing closes the modal.

    What Slack does not understand shows its sentence about trouble, and the modal stays.
    """
    modals = workspace.modals.get(person, [])
    if not modals or modals[-1]["id"] != view_id:
        return  # closed by the person meanwhile, or covered by the app
    try:
        _obey(workspace, person, modals[-1], response or {})
    except ApiError:
        fail(workspace, person, view_id)


def fail(workspace: Workspace, person: str, view_id: str) -> None:
    """A submission came to nothing: say so, unless its modal is gone."""
    if any(view["id"] == view_id for view in workspace.modals.get(person, ())):
        show_errors(workspace, person, view_id, {"": TROUBLE})


def _obey(workspace: Workspace, person: str, view: View, response: Any) -> None:
    if not isinstance(response, dict):
        raise ApiError("invalid_arguments")
    match response.get("response_action"):
        case None if not response:
            close_top(workspace, person)
        case "clear":
            close_all(workspace, person)
        case "errors":
            errors = _errors(view, response.get("errors"))
            show_errors(workspace, person, view["id"], errors)
        case "update":
            _replace(workspace, person, view, _given(Args(response), "modal"))
        case "push":
            _put(workspace, person, _given(Args(response), "modal"))
        case _:
            raise ApiError("invalid_arguments")


def _errors(view: View, errors: object) -> dict[str, str]:
    inputs = {block.get("block_id") for block in view["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not errors.keys() <= inputs:
        raise ApiError("invalid_arguments")
    return {str(block_id): str(sentence) for block_id, sentence in errors.items()}


# Inside


def _put(workspace: Workspace, person: str, given: View) -> View:
    modals = workspace.modals.setdefault(person, [])
    if len(modals) >= MODALS:
        raise ApiError("push_limit_reached")
    view = _new(given, modals)
    modals.append(view)
    _changed(workspace, person)
    return view


def _replace(workspace: Workspace, person: str, old: View, given: View) -> View:
    view = _renewed(given, old)
    modals = workspace.modals[person]
    modals[modals.index(old)] = view
    show_errors(workspace, person, old["id"], {})
    return view


def _new(given: View, below: list[View]) -> View:
    view_id = f"V{next(new_numbers)}"
    places = {
        "id": view_id,
        "root_view_id": below[0]["id"] if below else view_id,
        "previous_view_id": below[-1]["id"] if below else None,
    }
    return _stored(given, places, {})


def _renewed(given: View, old: View) -> View:
    """Another view in the place of ``old``: it keeps the id, and what was typed."""
    places = {key: old[key] for key in ("id", "root_view_id", "previous_view_id")}
    return _stored(given, places, old["state"]["values"])


def _stored(given: View, places: Mapping[str, Any], values: State) -> View:
    blocks = [_with_id(block) for block in given["blocks"]]
    return {
        **_UNSAID,
        **given,
        **places,
        "blocks": blocks,
        "state": {"values": state(blocks, values)},
        "hash": f"{int(time.time())}.{secrets.token_hex(4)}",
        "team_id": TEAM_ID,
        "app_id": APP_ID,
        "app_installed_team_id": TEAM_ID,
        "bot_id": BOT_ID,
    }


_UNSAID: Mapping[str, Any] = {
    "title": None,
    "submit": None,
    "close": None,
    "callback_id": "",
    "external_id": "",
    "private_metadata": "",
    "clear_on_close": False,
    "notify_on_close": False,
}


def _with_id(block: dict[str, Any]) -> dict[str, Any]:
    """Slack names every block; here only those are named that somebody can act on."""
    if block.get("block_id") or not any(elements(block)):
        return block
    return {**block, "block_id": f"b{next(new_numbers)}"}


def _given(args: Args, kind: str) -> View:
    """The view as the app composed it, or the ``ApiError`` with which Slack refuses it."""
    view = args.json("view", error="invalid_arguments")
    if not isinstance(view, dict) or view.get("type") != kind:
        raise invalid("invalid_arguments", f"must be a view of type {kind} [json-pointer:/view]")
    if len(msgspec.json.encode(view)) > VIEW_SIZE:
        raise ApiError("view_too_large")
    if len(str(view.get("private_metadata", ""))) > METADATA:
        message = (
            f"must be less than {METADATA + 1} characters [json-pointer:/view/private_metadata]"
        )
        raise invalid("invalid_arguments", message)
    blocks = check(view.get("blocks", []), most=VIEW_BLOCKS)
    if kind == "modal":
        _check_labels(view)
        if not view.get("submit") and any(block["type"] == "input" for block in blocks):
            message = "missing required field: submit [json-pointer:/view/submit]"
            raise invalid("invalid_arguments", message)
    return {**view, "blocks": blocks}


def _check_labels(view: View) -> None:
    for name in ("title", "submit", "close"):
        label = view.get(name)
        if label is None and name != "title":
            continue
        text = label.get("text") if isinstance(label, dict) else None
        if not isinstance(text, str) or not 0 < len(text) <= TITLE:
            message = f"must be plain_text of 1 to {TITLE} characters [json-pointer:/view/{name}]"
            raise invalid("invalid_arguments", message)


def _check_hash(args: Args, shown: View | None) -> None:
    """An app that names the hash wants no change to a view that is another by now."""
    if "hash" in args and (shown is None or args.text("hash") != shown["hash"]):
        raise ApiError("hash_conflict")


def _check_external_id(workspace: Workspace, given: View) -> None:
    external_id = given.get("external_id")
    for modals in workspace.modals.values():
        if external_id and any(view["external_id"] == external_id for view in modals):
            raise ApiError("duplicate_external_id")


def _named(workspace: Workspace, args: Args) -> tuple[str, View]:
    """The modal that a call names, with its person."""
    view_id, external_id = args.text("view_id"), args.text("external_id")
    for person, modals in workspace.modals.items():
        for view in modals:
            if view["id"] == view_id or (external_id and view["external_id"] == external_id):
                return person, view
    raise ApiError("not_found")


def _changed(workspace: Workspace, person: str) -> None:
    workspace.changed(Change(kind="view", user=person))
