"""The parts of Block Kit that a person can press, choose or fill in.

Source: docs.slack.dev/reference/block-kit/block-elements. Each carries ``data-block`` and
``data-action``, by which the page says what was done.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bot.playground.page import links
from bot.playground.page.emoji import spelled_out
from bot.playground.page.html import Html, join, tag
from bot.playground.page.mrkdwn import plain, render
from bot.playground.page.names import Names
from bot.playground.page.shape import Object, a_number, a_string, an_object, objects, strings


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an element stands, and what is known there."""

    names: Names
    block_id: str = ""
    scope: str = ""  # of the message: radio buttons of another may have the same ids
    state: Object = field(default_factory=dict)  # ``view.state.values``
    dispatches: bool = True  # in ``input`` blocks only those that ask for it
    is_labelled: bool = False  # by words that stand beside it
    is_required: bool = False
    is_optional: bool = False  # an input that may be emptied again

    def typed(self, element: Object) -> Object:
        """What the person has put into the element already."""
        block = an_object(self.state.get(self.block_id))
        return an_object(block.get(a_string(element.get("action_id"))))


def render_element(element: Object, place: Place) -> Html:
    """The element; one of a kind that the page does not know is named."""
    kind = a_string(element.get("type"))
    make = _MAKERS.get(kind)
    return make(element, place) if make else tag("em", f"[an element of type {kind or 'none'}]")


def text_of(value: object) -> str:
    """The words of a text object."""
    return a_string(an_object(value).get("text"))


def text_html(value: object, *, names: Names) -> Html:
    """A text object, ``mrkdwn`` or ``plain_text``."""
    words = text_of(value)
    is_mrkdwn = an_object(value).get("type") == "mrkdwn"
    return render(words, names=names) if is_mrkdwn else plain(words)


def _named(element: Object, place: Place) -> dict[str, str | bool | None]:
    """What each element carries."""
    return {
        "data_block": place.block_id,
        "data_action": a_string(element.get("action_id")),
        "data_confirm": _confirm(element.get("confirm")),
        "aria_label": a_string(element.get("accessibility_label")) or None,
    }


def _confirm(confirm: object) -> str | None:
    if not isinstance(confirm, Mapping):
        return None
    words = {name: text_of(confirm.get(name)) for name in ("title", "text", "confirm", "deny")}
    return json.dumps(words)


def _input(element: Object, place: Place) -> dict[str, str | bool | None]:
    """What each element carries that holds a value."""
    named = _named(element, place)
    if not place.is_labelled:
        named["aria_label"] = named["aria_label"] or _placeholder(element) or "Choose"
    return named | {
        "data_type": a_string(element.get("type")),
        "data_dispatch": place.dispatches,
        "required": place.is_required,
    }


def _placeholder(element: Object) -> str:
    return text_of(element.get("placeholder"))


# -- what is pressed


def _button(element: Object, place: Place) -> Html:
    style = a_string(element.get("style"))
    class_ = f"button {style}" if style in ("primary", "danger") else "button"
    attributes = _named(element, place) | {
        "class_": class_,
        "data_value": a_string(element.get("value")),
    }
    label = plain(text_of(element.get("text")))
    target = links.address(a_string(element.get("url")))
    if target is None:
        return tag("button", label, type="button", **attributes)
    return tag("a", label, href=target, **links.ELSEWHERE, **attributes)


def _overflow(element: Object, place: Place) -> Html:
    attributes = _named(element, place) | {"role": "menuitem", "type": "button"}
    items = [
        tag("button", plain(words), **attributes, data_selected=value)
        for words, value in _options(element.get("options"))
    ]
    summary = tag("summary", "⋯", aria_label="More actions")
    return tag("details", summary, tag("div", *items, role="menu"), class_="overflow")


def _feedback(element: Object, place: Place) -> Html:
    thumbs = (("positive_button", "👍", "Good response"), ("negative_button", "👎", "Bad response"))
    return join(
        [
            _pressed(element, an_object(element.get(name)), place, thumb, "feedback", label)
            for name, thumb, label in thumbs
        ]
    )


def _icon(element: Object, place: Place) -> Html:
    icon = _ICONS.get(a_string(element.get("icon")), "•")
    return _pressed(element, element, place, icon, "icon", a_string(element.get("icon")))


_ICONS = {"trash": "🗑️"}  # docs.slack.dev/reference/block-kit/block-elements: there is no other


def _pressed(
    element: Object, button: Object, place: Place, sign: str, class_: str, label: str
) -> Html:
    """A sign to press; its words are read out and shown beside it."""
    words = text_of(button.get("text")) or label
    attributes = _named(element, place) | {
        "aria_label": a_string(button.get("accessibility_label")) or words,
        "data_value": a_string(button.get("value")),
        "data_visible_to": " ".join(strings(element.get("visible_to_user_ids"))) or None,
    }
    return tag("button", sign, type="button", class_=class_, title=words, **attributes)


# -- what is chosen


def _options(options: object) -> list[tuple[str, str]]:
    """What each option reads, and its value."""
    return [
        (text_of(option.get("text")), a_string(option.get("value"))) for option in objects(options)
    ]


def _static_select(element: Object, place: Place) -> Html:
    groups = [
        tag("optgroup", *_choices(group, element, place), label=text_of(group.get("label")))
        for group in objects(element.get("option_groups"))
    ]
    return _select(element, place, [*_choices(element, element, place), *groups])


def _external_select(element: Object, place: Place) -> Html:
    """Its options are the app's to give while one types; here there are those chosen already."""
    chosen = [element.get("initial_option"), *objects(element.get("initial_options"))]
    return _select(element, place, _choices({"options": chosen}, element, place))


def _users_select(element: Object, place: Place) -> Html:
    return _select(element, place, _of_names(place.names.people, element, place))


def _conversations_select(element: Object, place: Place) -> Html:
    return _select(element, place, _of_names(place.names.channels, element, place))


def _choices(source: Object, element: Object, place: Place) -> list[Html]:
    chosen = _chosen(element, place)
    return [
        tag("option", spelled_out(words), value=value, selected=value in chosen)
        for words, value in _options(source.get("options"))
    ]


def _of_names(names: Mapping[str, str], element: Object, place: Place) -> list[Html]:
    chosen = _chosen(element, place)
    return [tag("option", name, value=id, selected=id in chosen) for id, name in names.items()]


def _select(element: Object, place: Place, options: Iterable[Html]) -> Html:
    is_multiple = a_string(element.get("type")).startswith("multi_")
    # Where a choice cannot be taken back, as in Slack's messages, this one cannot be chosen.
    nothing = tag(
        "option",
        _placeholder(element) or "Choose",
        value="",
        disabled=not place.is_optional,
        selected=not _chosen(element, place),
    )
    shown = options if is_multiple else (nothing, *options)
    attributes = _input(element, place)
    return tag("select", *shown, **attributes, multiple=is_multiple, class_="select")


def _box(kind: str) -> Callable[[Object, Place], Html]:
    """A group of radio buttons or of check boxes."""

    def make(element: Object, place: Place) -> Html:
        name = "/".join((place.scope, place.block_id, a_string(element.get("action_id"))))
        # One of several boxes may stay empty: `required` is the group's, and the app's to check.
        attributes = _input(element, replace(place, is_labelled=True, is_required=False))
        chosen = _chosen(element, place)
        boxes = []
        for option in objects(element.get("options")):
            value = a_string(option.get("value"))
            held: dict[str, str | bool] = {"value": value, "checked": value in chosen}
            box = tag("input", **attributes, **held, type=kind, name=name)
            words = text_html(option.get("text"), names=place.names)
            boxes.append(tag("label", box, " ", words))
        return tag("fieldset", *boxes, class_=a_string(element.get("type")))

    return make


def _chosen(element: Object, place: Place) -> set[str]:
    """The values chosen in the person's window, or else at the beginning."""
    typed = place.typed(element)
    found: set[str] = set()
    for prefix, source in (("selected", typed), ("initial", {} if typed else element)):
        for kind in ("user", "channel", "conversation"):
            found.add(a_string(source.get(f"{prefix}_{kind}")))
            found.update(strings(source.get(f"{prefix}_{kind}s")))
        found.add(a_string(an_object(source.get(f"{prefix}_option")).get("value")))
        options = objects(source.get(f"{prefix}_options"))
        found.update(a_string(option.get("value")) for option in options)
    return found - {""}


# -- what is filled in


def _field(kind: str, name: str = "value") -> Callable[[Object, Place], Html]:
    """An element of one line; ``name`` is how Slack calls its content."""

    def make(element: Object, place: Place) -> Html:
        state = f"selected_{name}" if name != "value" else name
        typed = place.typed(element)
        value = typed.get(state) if state in typed else element.get(f"initial_{name}")
        return tag(
            "input",
            **_input(element, place),
            type=kind,
            value=a_string(value),
            placeholder=_placeholder(element) or None,
            **_bounds(element),
        )

    return make


def _text_input(element: Object, place: Place) -> Html:
    if element.get("multiline") is not True:
        return _field("text")(element, place)
    typed = place.typed(element)
    value = typed.get("value") if "value" in typed else element.get("initial_value")
    return tag(
        "textarea",
        "\n",  # HTML takes the first line break away
        a_string(value),
        **_input(element, place),
        placeholder=_placeholder(element) or None,
        rows="4",
        **_bounds(element),
    )


def _bounds(element: Object) -> dict[str, str | None]:
    most = a_number(element.get("max_length"))
    least = a_number(element.get("min_length"))
    bounds = {
        "minlength": str(least) if least > 0 else None,
        "maxlength": str(most) if most > 0 else None,
    }
    if element.get("type") == "number_input":
        bounds["step"] = "any" if element.get("is_decimal_allowed") is True else "1"
        bounds["min"] = a_string(element.get("min_value")) or None
        bounds["max"] = a_string(element.get("max_value")) or None
    return bounds


def _image(element: Object, _: Place) -> Html:
    url = element.get("image_url") or an_object(element.get("slack_file")).get("url")
    return links.image(a_string(element.get("alt_text")), a_string(url))


_MAKERS: dict[str, Callable[[Object, Place], Html]] = {
    "button": _button,
    "channels_select": _conversations_select,
    "checkboxes": _box("checkbox"),
    "conversations_select": _conversations_select,
    "datepicker": _field("date", "date"),
    "email_text_input": _field("email"),
    "external_select": _external_select,
    "feedback_buttons": _feedback,
    "icon_button": _icon,
    "image": _image,
    "multi_channels_select": _conversations_select,
    "multi_conversations_select": _conversations_select,
    "multi_external_select": _external_select,
    "multi_static_select": _static_select,
    "multi_users_select": _users_select,
    "number_input": _field("number"),
    "overflow": _overflow,
    "plain_text_input": _text_input,
    "radio_buttons": _box("radio"),
    "static_select": _static_select,
    "timepicker": _field("time", "time"),
    "url_text_input": _field("url"),
    "users_select": _users_select,
}
