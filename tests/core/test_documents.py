"""What the documents say is what the code does."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from bot.app import COMMAND, EVENTS, OPTIONAL_EVENTS
from bot.check import OPTIONAL_SCOPES, SCOPES
from bot.settings import DEFAULT_DATABASE, VARIABLES, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text())


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
        agent_view=_only("agent_description", agent_description=_text(1, 300)),
        app_home=_only(
            home_tab_enabled=_BOOLEAN,
            messages_tab_enabled=_BOOLEAN,
            messages_tab_read_only_enabled=_BOOLEAN,
        ),
        bot_user=_only("display_name", display_name=_text(1, 80), always_online=_BOOLEAN),
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


def test_the_readme_names_the_scopes_that_are_optional() -> None:
    assert [scope for scope in OPTIONAL_SCOPES if f"`{scope}`" not in README] == []


def test_the_manifest_fits_slack_s_schema() -> None:
    jsonschema.validate(MANIFEST, MANIFEST_SCHEMA)

    assert MANIFEST["settings"]["socket_mode_enabled"] is True


def test_each_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`?make (\w+)", README)) - {"and"}

    assert named <= set(re.findall(r"^(\w+):", makefile, re.M)) | {"and"}
    assert {"demo", "test"} <= named
