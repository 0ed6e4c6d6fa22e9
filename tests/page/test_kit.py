"""Block Kit is shown as people know it, and each thing to press says what it is."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.playground.page import elements, kit
from tests.page.allowed_html import HOSTILE, NAMES, check, shown, values

steady = settings(deadline=None, derandomize=True, database=None, max_examples=100)


def render(*blocks: dict[str, Any], state: dict[str, Any] | None = None) -> str:
    html = kit.blocks_html(list(blocks), names=NAMES, state=state)
    check(html)
    return html


def message(**content: Any) -> str:
    html = kit.message_html(content, names=NAMES)
    check(html)
    return html


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def option(value: str) -> dict[str, Any]:
    return {"text": plain(value.title()), "value": value}


def actions(*things: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "block_id": "B", "elements": list(things)}


# -- messages


def test_a_message_without_blocks_is_its_text() -> None:
    assert message(text="*a* &lt;") == '<div class="plain"><strong>a</strong> &lt;</div>'


def test_the_text_of_a_message_with_blocks_is_not_shown() -> None:
    html = message(text="for notifications", blocks=[{"type": "markdown", "text": "**a**"}])

    assert html == '<div class="markdown"><p><strong>a</strong></p></div>'


def test_attachments_and_files_follow_the_text() -> None:
    html = message(
        text="a",
        attachments=[
            {"title": "b", "title_link": "https://a.example", "text": "c", "fallback": "no"},
            {"fallback": "d"},
            {"blocks": [{"type": "section", "text": mrkdwn("e")}]},
        ],
        files=[{"name": "f.txt"}],
    )

    assert shown(html) == "abcdeFile: f.txt"


def test_a_block_of_an_unknown_type_says_so() -> None:
    assert shown(render({"type": "hologram"})) == "[a block of type hologram]"


# -- blocks


@pytest.mark.parametrize(
    ("block", "html"),
    [
        ({"type": "divider"}, '<hr class="divider">'),
        (
            {"type": "header", "text": plain("*a*")},
            '<div class="header" role="heading" aria-level="3">*a*</div>',
        ),
        (
            {"type": "section", "text": mrkdwn("*a*"), "fields": [mrkdwn("b"), plain("*c*")]},
            '<div class="section"><div class="section-text"><strong>a</strong></div>'
            '<div class="fields"><div>b</div><div>*c*</div></div></div>',
        ),
        (
            {"type": "context", "elements": [mrkdwn("_a_"), plain("b")]},
            '<div class="context"><span><em>a</em></span> <span>b</span></div>',
        ),
    ],
)
def test_each_block_has_its_looks(block: dict[str, Any], html: str) -> None:
    assert render(block) == html


def test_an_image_is_never_loaded() -> None:
    image = {"type": "image", "image_url": "https://a.example/c.png", "alt_text": "a chart"}

    html = render(image, {"type": "context", "elements": [image]})

    assert shown(html) == "Image: a chart (https://a.example/c.png)" * 2


def test_a_table_has_a_head_and_aligned_columns() -> None:
    rich = {"type": "rich_text_section", "elements": [{"type": "text", "text": "d"}]}
    rows = [
        [{"type": "raw_text", "text": "a"}, {"type": "raw_text", "text": "b"}],
        [{"type": "raw_text", "text": "c"}, {"type": "rich_text", "elements": [rich]}],
    ]

    html = render({"type": "table", "rows": rows, "column_settings": [None, {"align": "right"}]})

    assert '<th>a</th><th class="align-right">b</th>' in html
    assert '<td>c</td><td class="align-right"><p>d</p></td>' in html


# -- what is pressed


def test_a_button_says_where_it_stands_and_what_it_means() -> None:
    button = {"type": "button", "text": plain("Go :rocket:"), "action_id": "A", "value": "V"}

    html = render(actions(button | {"style": "primary"}))

    assert html == (
        '<div class="actions"><button type="button" data-block="B" data-action="A" '
        'class="button primary" data-value="V">Go 🚀</button></div>'
    )


def test_a_button_can_ask_before_it_acts() -> None:
    words = {"title": plain("Sure?"), "text": mrkdwn("All"), "confirm": plain("Yes")}
    button = {"type": "button", "text": plain("Delete"), "action_id": "A", "confirm": words}

    (asked,) = values(render(actions(button)), "data-confirm")

    assert json.loads(asked) == {"title": "Sure?", "text": "All", "confirm": "Yes", "deny": ""}


def test_a_button_with_an_address_is_a_link_if_it_leads_somewhere() -> None:
    button = {"type": "button", "text": plain("Go"), "action_id": "A"}

    assert render(actions(button | {"url": "https://a.example"})).startswith(
        '<div class="actions"><a href="https://a.example" rel="noopener'
    )
    assert values(render(actions(button | {"url": "javascript:alert(1)"})), "href") == []


def test_an_overflow_menu_has_an_item_for_each_option() -> None:
    menu = {"type": "overflow", "action_id": "A", "options": [option("one"), option("two")]}

    html = render({"type": "section", "block_id": "B", "text": plain("a"), "accessory": menu})

    assert shown(html) == "a⋯OneTwo"
    assert values(html, "data-selected") == ["one", "two"]
    assert values(html, "data-action") == ["A", "A"]


def test_feedback_buttons_say_in_words_what_their_signs_mean() -> None:
    feedback = {
        "type": "feedback_buttons",
        "action_id": "A",
        "positive_button": {"text": plain("Good"), "value": "up", "accessibility_label": "Yes!"},
        "negative_button": {"text": plain("Bad"), "value": "down"},
    }

    html = render({"type": "context_actions", "block_id": "B", "elements": [feedback]})

    assert shown(html) == "👍👎"
    assert values(html, "data-value") == ["up", "down"]
    assert values(html, "aria-label") == ["Yes!", "Bad"]


def test_an_icon_button_can_be_for_some_people_only() -> None:
    icon = {"type": "icon_button", "icon": "trash", "text": plain("Delete"), "action_id": "A"}

    html = render(
        {"type": "context_actions", "elements": [icon | {"visible_to_user_ids": ["U1", "U2"]}]}
    )

    assert values(html, "class") == ["context-actions", "icon"]
    assert values(html, "data-visible-to") == ["U1 U2"]


# -- what is chosen and filled in


def test_a_menu_starts_with_what_was_chosen_before() -> None:
    menu = {
        "type": "static_select",
        "action_id": "A",
        "placeholder": plain("Which?"),
        "options": [option("one"), option("two")],
        "initial_option": option("two"),
    }

    html = render(actions(menu))
    chosen = {"type": "static_select", "selected_option": option("one")}
    again = render(actions(menu), state={"B": {"A": chosen}})

    assert shown(html) == "Which?OneTwo"
    assert values(html, "aria-label") == ["Which?"]
    assert '<option value="two" selected>' in html
    assert '<option value="one" selected>' in again
    assert "data-dispatch" in html


def test_a_choice_can_be_taken_back_only_where_an_input_is_optional() -> None:
    menu = {"type": "static_select", "action_id": "A", "options": [option("one")]}
    question = {"type": "input", "block_id": "B", "label": plain("Which?"), "element": menu}

    assert '<option value="" disabled selected>Choose</option>' in render(actions(menu))
    assert '<option value="" disabled selected>Choose</option>' in render(question)
    assert '<option value="" selected>Choose</option>' in render({**question, "optional": True})


def test_people_and_channels_are_chosen_by_name() -> None:
    people = {"type": "multi_users_select", "action_id": "A", "initial_users": ["U0ANA"]}
    channels = {"type": "channels_select", "action_id": "B"}

    html = render(actions(people, channels))

    assert '<option value="U0ANA" selected>Ana</option>' in html
    assert '<option value="C0GENERAL">general</option>' in html
    assert html.count(" multiple") == 1


def test_radio_buttons_of_two_messages_do_not_share_a_group() -> None:
    block = actions({"type": "radio_buttons", "action_id": "A", "options": [option("one")]})

    names = values(message(ts="1.1", blocks=[block]) + message(ts="2.1", blocks=[block]), "name")

    assert names == ["1.1/B/A", "2.1/B/A"]


def test_an_input_has_a_label_and_sends_nothing_until_it_is_submitted() -> None:
    element = {"type": "plain_text_input", "action_id": "A", "max_length": 9, "initial_value": "a"}
    block = {"type": "input", "block_id": "B", "label": plain("Name"), "element": element}

    html = render(block | {"hint": plain("In full")})

    assert shown(html) == "NameIn full"
    assert values(html, "maxlength") == ["9"]
    assert values(html, "value") == ["a"]
    assert values(html, "required") == [""]
    assert "data-dispatch" not in html
    assert "data-dispatch" in render(block | {"dispatch_action": True})
    assert "required" not in render(block | {"optional": True})


def test_what_was_typed_in_many_lines_comes_back_unchanged() -> None:
    element = {"type": "plain_text_input", "action_id": "A", "multiline": True}
    block = {"type": "input", "block_id": "B", "label": plain(""), "element": element}

    html = render(block, state={"B": {"A": {"type": "plain_text_input", "value": "\n</textarea>"}}})

    # The parser of a browser drops the first line break of a text area.
    assert shown(html) == "\n\n</textarea>"


@pytest.mark.parametrize(
    ("kind", "field", "value", "shown_as"),
    [
        ("datepicker", "initial_date", "2026-01-02", "date"),
        ("timepicker", "initial_time", "09:30", "time"),
        ("number_input", "initial_value", "4", "number"),
        ("email_text_input", "initial_value", "a@b.example", "email"),
        ("url_text_input", "initial_value", "https://a.example", "url"),
    ],
)
def test_each_field_is_of_its_type(kind: str, field: str, value: str, shown_as: str) -> None:
    html = render(actions({"type": kind, "action_id": "A", field: value}))

    assert values(html, "type") == [shown_as]
    assert values(html, "value") == [value]
    assert values(html, "data-type") == [kind]


# -- anything


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_a_message_can_run(hostile: str) -> None:
    for kind in kit._MAKERS:
        block = filled(kind, hostile)
        render(block | {"elements": [filled(name, hostile) for name in elements._MAKERS]})
        for name in elements._MAKERS:
            thing = filled(name, hostile)
            render(block | {"element": thing, "accessory": thing, "rows": [[thing]]})
    message(
        ts=hostile,
        text=hostile,
        files=[{"name": hostile}],
        attachments=[dict.fromkeys(("title", "title_link", "text"), hostile)],
    )


def filled(kind: str, hostile: str) -> dict[str, Any]:
    """An object in which everything that the page reads is hostile."""
    words = {"type": "mrkdwn", "text": hostile}
    fields = "block_id action_id value url image_url alt_text icon style accessibility_label"
    choice = {"text": words, "value": hostile}
    button = {"text": words, "value": hostile, "accessibility_label": hostile}
    return (
        dict.fromkeys(fields.split(" "), hostile)
        | {"type": kind, "label": words, "hint": words, "placeholder": words, "title": words}
        | {"text": hostile if kind == "markdown" else words, "confirm": {"title": words}}
        | {"options": [choice], "initial_option": choice, "visible_to_user_ids": [hostile]}
        | {"option_groups": [{"label": words, "options": [choice]}], "initial_value": hostile}
        | {"positive_button": button, "negative_button": button, "initial_date": hostile}
        | {"min_value": hostile, "max_value": hostile, "title_url": hostile, "multiline": True}
    )


KEYS = st.sampled_from(
    [
        *("type", "text", "elements", "element", "accessory", "options", "option_groups", "value"),
        *("url", "rows", "label", "style", "fields", "confirm", "initial_option", "indent"),
        *("offset", "unicode", "block_id", "action_id", "selected_options"),
    ]
)
WORDS = st.sampled_from([*kit._MAKERS, *elements._MAKERS, "mrkdwn", "plain_text"]) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


@steady
@given(blocks=JSON, state=st.dictionaries(WORDS, JSON, max_size=2))
@example(blocks=[{"type": "table", "rows": [1, [None, {}]], "column_settings": 3}], state={})
@example(blocks=[{"type": ["markdown"]}, {"type": "markdown", "text": 4}, None], state={})
def test_any_json_at_all_can_be_shown(blocks: Any, state: dict[str, Any]) -> None:
    check(kit.blocks_html(blocks, names=NAMES, state=state))
    things = [dict.fromkeys(("elements", "element", "accessory", "text"), blocks)]
    for kind in kit._MAKERS:
        check(kit.blocks_html([things[0] | {"type": kind}], names=NAMES, state=state))
    check(kit.message_html({"blocks": blocks, "attachments": blocks}, names=NAMES))
