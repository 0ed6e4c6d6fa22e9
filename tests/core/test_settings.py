"""What the operator sets, and what they are told when it is wrong."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.messages import Usage
from bot.prompt import DEFAULT_SYSTEM_PROMPT
from bot.settings import VARIABLES, Settings, SettingsError, database_url

BOT_TOKEN = "xoxb-1-secret"
APP_TOKEN = "xapp-1-secret"
SECRET = "0123456789abcdef" * 2
KEY = "sk-secret"

SOCKET = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_APP_TOKEN": APP_TOKEN, "OPENAI_API_KEY": KEY}
HTTP = {
    "SLACK_BOT_TOKEN": BOT_TOKEN,
    "SLACK_SIGNING_SECRET": SECRET,
    "PORT": "8080",
    "OPENAI_API_KEY": KEY,
}


def read(*parts: dict[str, str], **values: str) -> Settings:
    env: dict[str, str] = {}
    for part in parts or (SOCKET,):
        env |= part
    return Settings.from_env(env | values)


def problems(*parts: dict[str, str], **values: str) -> list[str]:
    try:
        read(*parts, **values)
    except SettingsError as error:
        return error.problems
    return []


def named(*parts: dict[str, str], **values: str) -> list[str]:
    """The variables that are complained about."""
    return [problem.split()[0] for problem in problems(*parts, **values)]


def without(env: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in names}


# -- both modes


def test_app_token_means_socket_mode() -> None:
    values = read(SOCKET)

    assert values.uses_socket_mode
    assert (values.slack_app_token, values.port) == (APP_TOKEN, None)


def test_signing_secret_and_port_mean_http() -> None:
    values = read(HTTP)

    assert not values.uses_socket_mode
    assert (values.slack_signing_secret, values.port) == (SECRET, 8080)


def test_socket_mode_wins_where_both_are_set() -> None:
    values = read(HTTP, SOCKET)

    assert values.uses_socket_mode
    assert values.port == 8080


def test_signing_secret_beside_an_app_token_needs_no_port() -> None:
    assert named(SOCKET, SLACK_SIGNING_SECRET=SECRET) == []


def test_defaults_are_what_the_design_says() -> None:
    values = read(SOCKET)

    assert values.slack_api_url == "https://slack.com/api/"
    assert values.openai_base_url == "https://api.openai.com/v1"
    assert values.openai_model == "gpt-4o-mini"
    assert values.openai_temperature is None
    assert values.openai_max_tokens is not None
    assert values.system_prompt == DEFAULT_SYSTEM_PROMPT
    assert values.database_url == "sqlite+aiosqlite:///bot.db"
    assert values.log_level == "INFO"


# -- what is missing


def test_everything_that_is_missing_is_named_at_once() -> None:
    assert sorted(named({"PATH": "/bin"})) == [
        "OPENAI_API_KEY",
        "SLACK_APP_TOKEN",
        "SLACK_BOT_TOKEN",
    ]


def test_message_has_a_line_for_each_problem() -> None:
    with pytest.raises(SettingsError) as caught:
        read({})

    assert str(caught.value).splitlines() == caught.value.problems
    assert "SLACK_BOT_TOKEN is missing" in caught.value.problems


def test_missing_mode_names_both_ways() -> None:
    [problem] = problems(without(SOCKET, "SLACK_APP_TOKEN"))

    assert "SLACK_APP_TOKEN is missing" in problem
    assert "SLACK_SIGNING_SECRET and PORT" in problem


def test_http_without_a_port_is_told_so() -> None:
    assert named(without(HTTP, "PORT")) == ["PORT"]


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_empty_counts_as_unset(empty: str) -> None:
    values = read(
        SOCKET,
        SLACK_SIGNING_SECRET=empty,
        OPENAI_MODEL=empty,
        OPENAI_TEMPERATURE=empty,
        PORT=empty,
        SYSTEM_PROMPT=empty,
        DATABASE_URL=empty,
        LOG_LEVEL=empty,
        SLACK_API_URL=empty,
    )

    assert values == read(SOCKET)
    assert named(SOCKET, SLACK_BOT_TOKEN=empty) == ["SLACK_BOT_TOKEN"]
    assert named(SOCKET, OPENAI_API_KEY=empty) == ["OPENAI_API_KEY"]


def test_base_url_of_another_server_needs_no_key() -> None:
    values = read(without(SOCKET, "OPENAI_API_KEY"), OPENAI_BASE_URL="http://localhost:11434/v1")

    assert values.openai_api_key is None
    assert values.openai_base_url == "http://localhost:11434/v1"


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "https://API.openai.com/v1/"])
def test_openai_itself_needs_a_key_also_when_its_url_is_set(url: str) -> None:
    env = without(SOCKET, "OPENAI_API_KEY")

    assert named(env, OPENAI_BASE_URL=url) == ["OPENAI_API_KEY"]


@pytest.mark.parametrize(("word", "sees"), [("auto", None), ("yes", True), ("NO", False)])
def test_vision_is_known_or_left_to_the_name(word: str, sees: bool | None) -> None:
    assert read(SOCKET, OPENAI_VISION=word).openai_vision is sees
    assert read(SOCKET).openai_vision is None


# -- what is malformed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", APP_TOKEN),
        ("SLACK_BOT_TOKEN", "xoxb-"),
        ("SLACK_BOT_TOKEN", "xoxb-1 2"),
        ("SLACK_BOT_TOKEN", f'"{BOT_TOKEN}"'),
        ("SLACK_APP_TOKEN", BOT_TOKEN),
        ("SLACK_APP_TOKEN", "xapp-…"),
        ("SLACK_SIGNING_SECRET", "0123"),
        ("SLACK_SIGNING_SECRET", "g" * 32),
        ("SLACK_API_URL", "slack.com/api"),
        ("OPENAI_API_KEY", "sk-…"),
        ("OPENAI_API_KEY", "sk-1 sk-2"),
        ("OPENAI_API_KEY", "sk-1\nsk-2"),
        ("OPENAI_API_KEY", f'"{KEY}"'),
        ("OPENAI_API_KEY", f"'{KEY}'"),
        ("OPENAI_BASE_URL", "localhost:11434"),
        ("OPENAI_BASE_URL", "ftp://localhost/v1"),
        ("OPENAI_BASE_URL", "http://"),
        ("OPENAI_BASE_URL", "http://localhost:port/v1"),
        ("OPENAI_BASE_URL", "http://localhost:99999/v1"),
        ("OPENAI_BASE_URL", "http://[::1/v1"),
        ("OPENAI_BASE_URL", '"http://localhost/v1"'),
        ("OPENAI_BASE_URL", "http://local host/v1"),
        ("OPENAI_BASE_URL", "http://ana:hunter2@local℀host/v1"),
        ("OPENAI_TEMPERATURE", "hot"),
        ("OPENAI_TEMPERATURE", "-0.1"),
        ("OPENAI_TEMPERATURE", "2.1"),
        ("OPENAI_TEMPERATURE", "nan"),
        ("OPENAI_MAX_TOKENS", "1.5"),
        ("OPENAI_MAX_TOKENS", "-1"),
        ("OPENAI_MAX_TOKENS", "١"),
        ("OPENAI_MAX_TOKENS", "9" * 5_000),
        ("OPENAI_CONTEXT_TOKENS", "100"),
        ("OPENAI_TIMEOUT", "0"),
        ("OPENAI_TIMEOUT", "inf"),
        ("OPENAI_VISION", "perhaps"),
        ("DATABASE_URL", "mysql://localhost/bot"),
        ("DATABASE_URL", "sqlite://bot.db"),
        ("DATABASE_URL", "postgres://"),
        ("DATABASE_URL", "mysql://bot:pass@localhost/bot"),
        ("PORT", "http"),
        ("PORT", "65536"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_malformed_value_is_named_with_what_it_must_be(name: str, value: str) -> None:
    [problem] = problems(SOCKET, **{name: value})

    assert problem.startswith((f"{name} must ", f"{name} names "))
    assert "\n" not in problem
    assert not re.search("secret|hunter2|pass@|sk-1", problem)


def test_all_that_is_wrong_is_named_at_once() -> None:
    wrong = {
        "SLACK_BOT_TOKEN": "nope",
        "SLACK_SIGNING_SECRET": "nope",
        "OPENAI_BASE_URL": "nope",
        "OPENAI_TEMPERATURE": "nope",
        "DATABASE_URL": "nope://",
        "LOG_LEVEL": "nope",
    }

    assert sorted(named(wrong)) == sorted([*wrong, "PORT"])


def test_malformed_app_token_does_not_ask_for_a_port() -> None:
    env = without(HTTP, "PORT")

    assert named(env, SLACK_APP_TOKEN="nope") == ["SLACK_APP_TOKEN"]


def test_malformed_port_is_not_missing_too() -> None:
    assert named(HTTP, PORT="nope") == ["PORT"]


# -- what is understood


def test_space_around_a_value_is_ignored() -> None:
    values = read(SOCKET, SLACK_BOT_TOKEN=f" {BOT_TOKEN}\n", OPENAI_MODEL=" llama3 ")

    assert (values.slack_bot_token, values.openai_model) == (BOT_TOKEN, "llama3")


def test_numbers_are_read() -> None:
    values = read(
        SOCKET,
        OPENAI_TEMPERATURE="0",
        OPENAI_MAX_TOKENS="500",
        OPENAI_CONTEXT_TOKENS="8000",
        OPENAI_TIMEOUT="2.5",
        PORT="0",
    )

    assert values.openai_temperature == 0.0
    assert (values.openai_max_tokens, values.openai_context_tokens) == (500, 8_000)
    assert (values.openai_timeout, values.port) == (2.5, 0)


def test_zero_max_tokens_is_no_cap() -> None:
    assert read(SOCKET, OPENAI_MAX_TOKENS="0").openai_max_tokens is None


def test_log_level_may_be_lower_case() -> None:
    assert read(SOCKET, LOG_LEVEL="debug").log_level == "DEBUG"


@pytest.mark.parametrize("url", ["http://localhost:8000/api", "http://localhost:8000/api//"])
def test_slack_api_url_ends_in_one_slash(url: str) -> None:
    assert read(SOCKET, SLACK_API_URL=url).slack_api_url == "http://localhost:8000/api/"


def test_system_prompt_may_hold_anything() -> None:
    prompt = 'Sei "nett" & {kurz}\nund höflich.'

    assert read(SOCKET, SYSTEM_PROMPT=prompt).system_prompt == prompt


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("bot.db", "sqlite+aiosqlite:///bot.db"),
        ("/data/my bot.db", "sqlite+aiosqlite:////data/my bot.db"),
        ("sqlite:///bot.db", "sqlite+aiosqlite:///bot.db"),
        ("sqlite:////data/bot.db", "sqlite+aiosqlite:////data/bot.db"),
        ("sqlite+aiosqlite:///bot.db", "sqlite+aiosqlite:///bot.db"),
    ],
)
def test_database_is_a_file_or_a_sqlite_url(text: str, url: str) -> None:
    assert database_url(text) == url


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+aiosqlite://",
        ":memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:bot?mode=memory&uri=true",
    ],
)
def test_database_in_memory_is_refused(url: str) -> None:
    [problem] = problems(SOCKET, DATABASE_URL=url)

    assert problem.startswith("DATABASE_URL must name a file: in memory everything is lost")


# -- secrets


def test_secrets_do_not_show() -> None:
    shown = repr(read(HTTP, SOCKET))

    for secret in (BOT_TOKEN, APP_TOKEN, SECRET, KEY):
        assert secret not in shown
    assert "gpt-4o-mini" in shown


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "SLACK_API_URL"])
@pytest.mark.parametrize("user", ["ana:hunter2", "ana", ""])
def test_url_with_a_password_is_refused(name: str, user: str) -> None:
    [problem] = problems(SOCKET, **{name: f"https://{user}@proxy.example/v1"})

    assert problem == f"{name} must not hold a user name or password"


@pytest.mark.parametrize(
    ("name", "placeholder"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-..."),
        ("SLACK_APP_TOKEN", "xapp-..."),
        ("OPENAI_API_KEY", "sk-..."),
    ],
)
def test_placeholder_of_the_example_is_refused(name: str, placeholder: str) -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text()

    [problem] = problems(SOCKET, **{name: placeholder})

    assert f"\n{name}={placeholder}\n" in example
    assert problem.startswith(f"{name} is still the placeholder of .env.example")


def test_settings_are_values() -> None:
    assert read(SOCKET) == read(SOCKET)
    assert "SLACK_BOT_TOKEN" in VARIABLES
    assert all(name.isupper() for name in VARIABLES)


@given(env=st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=12), max_size=8))
@settings(deadline=None, max_examples=100)
def test_no_environment_is_too_odd(env: dict[str, str]) -> None:
    found = problems(env)

    assert {problem.split()[0] for problem in found} <= set(VARIABLES)
    assert len({problem.split()[0] for problem in found}) == len(found)


# -- how much at once


@pytest.mark.parametrize("share", ["0.05", "0.2", "1", "1.0"])
def test_burst_is_a_share_of_a_minute(share: str) -> None:
    assert read(SOCKET, SLACK_BURST=share).slack_burst == float(share)


@pytest.mark.parametrize("share", ["0", "0.04", "1.01", "-1", "nan", "half"])
def test_burst_that_is_no_share_is_complained_about(share: str) -> None:
    assert named(SOCKET, SLACK_BURST=share) == ["SLACK_BURST"]


def test_a_whole_minute_may_be_spent_at_once_where_nothing_is_said() -> None:
    assert read(SOCKET).slack_burst == 1.0
    assert read(SOCKET, SLACK_BURST=" ").slack_burst == 1.0


@pytest.mark.parametrize("lane", ["edit", "native", "auto"])
def test_how_answers_grow_is_the_operators_choice(lane: str) -> None:
    assert read(SOCKET, SLACK_STREAMING=lane.upper()).slack_streaming == lane
    assert read(SOCKET).slack_streaming == "edit"
    assert named(SOCKET, SLACK_STREAMING="fast") == ["SLACK_STREAMING"]


# -- prices


def test_prices_of_a_file_come_over_those_of_the_package(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('date = 2026-11-01\n[models]\n"local" = { input = 0, output = 0 }\n')

    prices = read(PRICES_FILE=str(file)).prices

    assert prices.cost("local", Usage(1, 0, 1, 0)) == 0
    assert prices.cost("gpt-4o-mini", Usage(1_000_000, 0, 0, 0)) == Decimal("0.15")


def test_a_price_file_that_is_wrong_is_named_with_the_model(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('date = 2026-11-01\n[models]\n"local" = { input = 0 }\n')
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG")

    assert problems(PRICES_FILE=str(file)) == [
        f"PRICES_FILE {file}: model 'local' lacks the price of its output"
    ]
    assert problems(PRICES_FILE=str(tmp_path)) == [
        f"PRICES_FILE {tmp_path} cannot be read: Is a directory"
    ]
    assert problems(PRICES_FILE=str(picture)) == [
        f"PRICES_FILE {picture} is not a text file in UTF-8"
    ]


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "a month", "100000"])
def test_retention_is_a_whole_number_of_days(days: str) -> None:
    assert read().retention_days is None
    assert read(RETENTION_DAYS="400").retention_days == 400
    assert named(RETENTION_DAYS=days) == ["RETENTION_DAYS"]


# -- who may do what


def test_admins_are_named_by_their_ids() -> None:
    assert read().admin_users == ()
    for text in ("U012AB3CD,W045EF6GH", "U012AB3CD, W045EF6GH", " U012AB3CD W045EF6GH, "):
        assert read(ADMIN_USERS=text).admin_users == ("U012AB3CD", "W045EF6GH")


@pytest.mark.parametrize("users", ["ana", "@U012AB3CD", "C012AB3CD", "u012ab3cd", "U012AB3CD;U2"])
def test_admins_are_named_by_nothing_else(users: str) -> None:
    (problem,) = problems(ADMIN_USERS=users)

    assert problem.startswith("ADMIN_USERS must be ids of people with commas between them")


def test_all_channels_and_people_are_answered_unless_some_are_named() -> None:
    assert (read().allow_channels, read().allow_users) == ((), ())
    assert read(ALLOW_USERS="U012AB3CD, W045EF6GH").allow_users == ("U012AB3CD", "W045EF6GH")
    assert read(ALLOW_CHANNELS="C012AB3CD,G045EF6GH").allow_channels == ("C012AB3CD", "G045EF6GH")


@pytest.mark.parametrize("name", ["ALLOW_CHANNELS", "ALLOW_USERS"])
@pytest.mark.parametrize(
    "ids", ["general", "#C012AB3CD", "D012AB3CD", "*", ",", "all", "c012ab3cd"]
)
def test_malformed_lists_are_named_and_let_nobody_in(name: str, ids: str) -> None:
    (problem,) = problems(
        **{name: f"C012AB3CD,{ids}" if name == "ALLOW_CHANNELS" and ids != "," else ids}
    )

    assert problem.startswith(f"{name} must be ids of")
    assert repr(ids) in problem


def test_each_malformed_id_is_named() -> None:
    (problem,) = problems(ALLOW_USERS="U012AB3CD, ana, C012AB3CD")

    assert problem.endswith("not 'ana', 'C012AB3CD'")


def test_channels_may_choose_from_the_models_that_are_named() -> None:
    assert read().models == ("gpt-4o-mini",)
    several = read(OPENAI_MODEL="llama3", OPENAI_MODELS="openai/gpt-4o, llama3 , qwen:7b,")
    assert several.models == ("llama3", "openai/gpt-4o", "qwen:7b")


@pytest.mark.parametrize("models", ["x" * 76, ",".join(f"m{i}" for i in range(99))])
def test_models_that_no_menu_would_hold_are_refused(models: str) -> None:
    (problem,) = problems(OPENAI_MODELS=models)

    assert problem.startswith("OPENAI_MODELS must be names of models")


def test_guests_and_strangers_are_kept_out_unless_allowed() -> None:
    assert (read().allow_guests, read().allow_external) == (False, False)
    assert read(ALLOW_GUESTS="yes", ALLOW_EXTERNAL="TRUE").allow_guests
    assert read(ALLOW_EXTERNAL="1").allow_external
    assert not read(ALLOW_GUESTS="no").allow_guests
    assert problems(ALLOW_GUESTS="maybe") == ["ALLOW_GUESTS must be yes or no"]


def test_pace_of_one_person_has_a_bound_unless_it_is_taken_away() -> None:
    assert read().questions_per_minute == 20
    assert read(QUESTIONS_PER_MINUTE="5").questions_per_minute == 5
    assert read(QUESTIONS_PER_MINUTE="0").questions_per_minute is None
    assert named(QUESTIONS_PER_MINUTE="many") == ["QUESTIONS_PER_MINUTE"]


# -- what operators see


def test_metrics_are_off_and_stay_on_this_machine_unless_told_otherwise() -> None:
    assert (read().metrics_port, read().metrics_host) == (None, "127.0.0.1")
    assert read(METRICS_PORT="9464", METRICS_HOST="0.0.0.0").metrics_port == 9464


def test_log_format_is_text_or_json() -> None:
    assert read().log_format == "text"
    assert read(LOG_FORMAT="JSON").log_format == "json"
    assert problems(LOG_FORMAT="xml", METRICS_PORT="many") == [
        "METRICS_PORT must be a whole number from 0 to 65,535",
        "LOG_FORMAT must be text or json",
    ]


def test_secrets_are_all_that_a_log_must_not_show() -> None:
    values = read(
        HTTP,
        OPENAI_API_KEY="gsk_1234",
        OPENAI_BASE_URL="https://llm.example/v1?code=hunter2%21&v=1",
        DATABASE_URL="postgresql://bot:p%40ssword@db/bot",
    )

    assert values.secrets == {BOT_TOKEN, SECRET, "gsk_1234", "hunter2!", "p%40ssword", "p@ssword"}


def test_a_key_that_is_a_common_word_is_no_secret() -> None:
    assert "none" not in read(OPENAI_API_KEY="none").secrets
