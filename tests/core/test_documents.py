"""What the documents say is what the code does."""

import re
from pathlib import Path
from typing import Any

import yaml

from bot.app import EVENTS
from bot.check import SCOPES
from bot.settings import DEFAULT_DATABASE, VARIABLES, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text())


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


def test_the_manifest_keeps_slack_s_limits() -> None:
    """The bounds of schema v2 (docs.slack.dev/reference/app-manifest) for what stands in it."""
    display, features = MANIFEST["display_information"], MANIFEST["features"]

    assert MANIFEST["_metadata"] == {"major_version": 2}
    assert len(display["name"]) <= 35
    assert len(display["description"]) <= 140
    assert re.fullmatch(r"#[0-9a-f]{6}", display["background_color"])
    assert re.fullmatch(r"[a-z0-9._-]{1,80}", features["bot_user"]["display_name"])
    assert len(features["agent_view"]["agent_description"]) <= 300
    assert MANIFEST["settings"]["socket_mode_enabled"] is True


def test_each_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`?make (\w+)", README)) - {"and"}

    assert named <= set(re.findall(r"^(\w+):", makefile, re.M)) | {"and"}
    assert {"demo", "test"} <= named
