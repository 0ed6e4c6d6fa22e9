"""What the documents say is what the code does."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bot import features
from bot.app import COMMAND, EVENTS, OPTIONAL_EVENTS
from bot.features import ASK, DISPENSABLE, FEATURES, METHODS, SCOPES, Feature, switched_off
from bot.playground.slack import LocalSlack
from bot.playground.slack.methods import METHODS as LOCAL_METHODS
from bot.settings import DEFAULT_DATABASE, VARIABLES, Settings
from bot.welcome import PROMPTS
from tests.conftest import LONGEST

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text())
# The README's, with all that the bot can do.
WHOLE: dict[str, Any] = yaml.safe_load(README.split("```yaml\n", 1)[1].split("```", 1)[0])


def _only(*required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def _text(least: int, most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": most}


_BOOLEAN = {"type": "boolean"}
_NAMES = {"type": "array", "uniqueItems": True, "items": {"type": "string", "minLength": 1}}

# What schema v2 says of the parts that our manifest uses, and of nothing else
# (docs.slack.dev/reference/app-manifest; read in slackapi/manifest-schema, 2026).
MANIFEST_SCHEMA = _only(
    "display_information",
    _metadata=_only(major_version={"const": 2}),
    display_information=_only(
        "name",
        name=_text(1, 35),
        description=_text(1, 140),
        background_color={"type": "string", "pattern": "^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$"},
    ),
    features=_only(
        agent_view=_only(
            "agent_description",
            agent_description=_text(1, 300),
            suggested_prompts={
                "type": "array",
                "maxItems": 4,
                "items": _only("title", "message", title=_text(1, 100), message=_text(1, 1000)),
            },
        ),
        app_home=_only(
            home_tab_enabled=_BOOLEAN,
            messages_tab_enabled=_BOOLEAN,
            messages_tab_read_only_enabled=_BOOLEAN,
        ),
        bot_user=_only("display_name", display_name=_text(1, 80), always_online=_BOOLEAN),
        shortcuts={
            "type": "array",
            "maxItems": 10,
            "items": _only(
                "name",
                "type",
                "callback_id",
                "description",
                name=_text(1, 24),
                type={"enum": ["message", "global"]},
                callback_id=_text(1, 255),
                description=_text(1, 150),
            ),
        },
        slash_commands={
            "type": "array",
            "maxItems": 50,
            "items": _only(
                "command",
                "description",
                command={"type": "string", "pattern": "^/", "maxLength": 32},
                description=_text(1, 2000),
                usage_hint=_text(1, 1000),
                should_escape=_BOOLEAN,
            ),
        },
    ),
    oauth_config=_only(scopes=_only(bot={**_NAMES, "maxItems": 255})),
    settings=_only(
        event_subscriptions=_only(bot_events={**_NAMES, "minItems": 1, "maxItems": 100}),
        interactivity=_only("is_enabled", is_enabled=_BOOLEAN),
        org_deploy_enabled=_BOOLEAN,
        socket_mode_enabled=_BOOLEAN,
        token_rotation_enabled=_BOOLEAN,
    ),
)


def test_env_example_names_each_setting_once() -> None:
    example = (ROOT / ".env.example").read_text()

    assert sorted(re.findall(r"^#?([A-Z_]+)=", example, re.M)) == sorted(VARIABLES)


def test_the_defaults_in_env_example_are_the_defaults() -> None:
    example = (ROOT / ".env.example").read_text()
    shown = dict(re.findall(r"^#([A-Z_]+)=(.+)$", example, re.M))
    required = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "OPENAI_API_KEY": "sk-1"}
    shown |= {"PORT": "", "OPENAI_BASE_URL": ""}  # examples, not defaults

    assert Settings.from_env(required | shown) == Settings.from_env(required)
    assert DEFAULT_DATABASE.endswith("bot.db")


def test_the_readme_names_each_setting() -> None:
    assert [name for name in VARIABLES if f"`{name}`" not in README] == []


def test_the_readme_s_map_is_the_list_of_files() -> None:
    mapped = set(re.findall(r"\(bot/(\w+)\.py\)", README))
    files = {path.stem for path in (ROOT / "bot").glob("*.py")} - {"__init__"}

    assert mapped == files


def test_the_manifest_asks_for_the_scopes_that_check_wants() -> None:
    assert sorted(MANIFEST["oauth_config"]["scopes"]["bot"]) == sorted(SCOPES)


def test_the_manifest_subscribes_to_the_events_that_the_bot_hears() -> None:
    assert sorted(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == sorted(EVENTS)


def test_the_events_that_are_optional_are_named_and_heard() -> None:
    heard = {name.partition(".")[0] for name in EVENTS}

    assert [name for name in OPTIONAL_EVENTS if f"`{name}`" not in README] == []
    assert {name.partition(".")[0] for name in OPTIONAL_EVENTS} <= heard
    assert set(OPTIONAL_EVENTS).isdisjoint(
        MANIFEST["settings"]["event_subscriptions"]["bot_events"]
    )


def test_the_manifest_has_the_command_that_the_bot_answers() -> None:
    assert [each["command"] for each in MANIFEST["features"]["slash_commands"]] == [COMMAND]
    assert MANIFEST["settings"]["interactivity"]["is_enabled"] is True
    assert MANIFEST["features"]["app_home"]["home_tab_enabled"] is True


def in_words(feature: Feature) -> str:
    """A row of the README's table."""
    parts = [("scope", feature.scopes), ("event", feature.events)]
    adds = [
        f"{kind}{'s' if len(names) > 1 else ''} {', '.join(f'`{name}`' for name in names)}"
        for kind, names in parts
        if names
    ]
    adds += [f"shortcut `{feature.shortcut}`"] if feature.shortcut else []
    return f"| {feature.name} | {'; '.join(adds)} | {feature.without} |"


def test_the_readme_says_what_each_feature_needs() -> None:
    assert [feature for feature in FEATURES if in_words(feature) not in README] == []


def test_the_whole_manifest_is_the_least_one_with_what_all_features_need() -> None:
    scopes = {scope for feature in FEATURES for scope in feature.scopes}
    events = {event for feature in FEATURES for event in feature.events}
    shortcuts = [feature.shortcut for feature in FEATURES if feature.shortcut]

    assert set(_scopes(WHOLE)) - set(_scopes(MANIFEST)) == scopes
    assert set(_events(WHOLE)) - set(_events(MANIFEST)) == events == set(OPTIONAL_EVENTS)
    assert [each["callback_id"] for each in WHOLE["features"]["shortcuts"]] == shortcuts
    assert _rest(WHOLE) == _rest(MANIFEST)


def _rest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Without what features add to."""
    rest = deepcopy(manifest)
    rest["features"].pop("shortcuts", None)
    _scopes(rest).clear()
    _events(rest).clear()
    return rest


def _scopes(manifest: dict[str, Any]) -> list[str]:
    found: list[str] = manifest["oauth_config"]["scopes"]["bot"]
    return found


def _events(manifest: dict[str, Any]) -> list[str]:
    found: list[str] = manifest["settings"]["event_subscriptions"]["bot_events"]
    return found


def test_the_manifest_suggests_the_questions_that_the_bot_suggests() -> None:
    prompts = MANIFEST["features"]["agent_view"]["suggested_prompts"]

    assert {each["title"]: each["message"] for each in prompts} == PROMPTS
    assert len(prompts) <= 4


def test_each_call_in_the_code_is_in_the_table_of_scopes() -> None:
    call = re.compile(r'(?:call|_response)\((?:[^"()]*,)?\s*"([\w.]+)"')
    code = [path.read_text() for path in (ROOT / "bot").glob("*.py")]

    assert {name for text in code for name in call.findall(text)} == set(METHODS)
    # None is called in a way that this does not see.
    assert not any(re.search(r"client\.[a-z]+_\w+\(", text) for text in code)


def test_the_local_slack_wants_the_same_scopes() -> None:
    histories = {f"{kind}:history" for kind in ("channels", "groups", "im", "mpim")}
    for name, scopes in METHODS.items():
        method = LOCAL_METHODS.get(name)
        if method is None:
            assert name == "apps.connections.open"  # of the app, not the bot
        elif method.per_kind == "history":
            assert set(scopes) == histories
        elif method.per_kind:  # nothing is asked about direct messages
            assert set(scopes) == {f"{kind}:read" for kind in ("channels", "groups", "mpim")}
        else:
            assert scopes == ((method.scope,) if method.scope else ())


def test_the_local_slack_grants_what_the_whole_manifest_asks_for() -> None:
    assert LocalSlack().scopes == WHOLE["oauth_config"]["scopes"]["bot"]


def test_no_scope_is_asked_for_that_nothing_needs() -> None:
    optional = [scope for feature in FEATURES for scope in feature.scopes]
    asked = {*SCOPES, *optional}
    by_calls = {scope for scopes in METHODS.values() for scope in scopes}
    by_events = {features.EVENTS[event] for event in (*EVENTS, *OPTIONAL_EVENTS)} - {None}

    assert asked == by_calls | by_events | {"commands"}  # the command, and the shortcut
    assert set(features.EVENTS) == {*EVENTS, *OPTIONAL_EVENTS}
    assert set(SCOPES).isdisjoint(optional)
    assert set(SCOPES) >= DISPENSABLE


def test_what_is_off_is_said_in_words() -> None:
    everything = {scope for feature in FEATURES for scope in feature.scopes}

    assert switched_off(everything) == []
    assert switched_off(everything - {"files:read"}) == [
        "Files: off. Scope files:read is not granted: files that people attach are not read."
    ]
    assert len(switched_off(set())) == sum(bool(feature.scopes) for feature in FEATURES)


def test_the_shortcut_is_in_the_whole_manifest_alone() -> None:
    assert "shortcuts" not in MANIFEST["features"]
    assert f"callback_id: {ASK}" in README


@pytest.mark.parametrize("manifest", [MANIFEST, WHOLE], ids=["least", "whole"])
def test_the_manifest_fits_slack_s_schema(manifest: dict[str, Any]) -> None:
    jsonschema.validate(manifest, MANIFEST_SCHEMA)

    assert manifest["settings"]["socket_mode_enabled"] is True


def test_each_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`?make (\w+)", README)) - {"and"}

    assert named <= set(re.findall(r"^(\w+):", makefile, re.M)) | {"and"}
    assert {"demo", "test"} <= named


@pytest.mark.parametrize("name", LONGEST)
def test_each_file_of_tests_that_begins_first_exists(name: str) -> None:
    assert (ROOT / "tests" / name).is_file()
