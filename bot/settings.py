"""Environment → `Settings`. Every variable that is missing or malformed is named at once."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from bot.logs import Format
from bot.pacing import Lane
from bot.prices import Prices, known_prices
from bot.prompt import DEFAULT_SYSTEM_PROMPT

T = TypeVar("T")

OPENAI_URL = "https://api.openai.com/v1"
LANES: Mapping[str, Lane] = {"edit": "edit", "native": "native", "auto": "auto"}
SLACK_URL = "https://slack.com/api/"

DEFAULT_MODEL = "gpt-4o-mini"
VISION: Mapping[str, bool | None] = {"auto": None, "yes": True, "no": False}

PLACEHOLDERS = ("xoxb-...", "xapp-...", "sk-...")  # in .env.example, to be filled in

# How much is shown of what is malformed.
LONGEST_ID = 40  # characters
MOST_NAMED = 5

# What a menu in Slack holds, less the entry for what is chosen nowhere; characters of a value
# (docs.slack.dev/reference/block-kit, static_select and option).
MOST_MODELS = 98
LONGEST_MODEL = 75

# Characters. A shorter secret (a key like "none") would strike words out of the log that are none.
SHORTEST_SECRET = 8


class SettingsError(Exception):
    """What is wrong with the environment, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator decides. Secrets do not show in its ``repr``."""

    slack_bot_token: str = field(repr=False)
    slack_app_token: str | None = field(repr=False)
    slack_signing_secret: str | None = field(repr=False)
    slack_api_url: str
    slack_burst: float  # share of a minute's calls that may be made at once
    slack_streaming: Lane  # how answers grow
    openai_api_key: str | None = field(repr=False)
    openai_base_url: str = field(repr=False)  # its query may hold a key
    openai_model: str
    openai_models: tuple[str, ...]  # what channels may choose beside it
    openai_temperature: float | None
    openai_max_tokens: int | None  # None: whatever the server's own limit is
    openai_context_tokens: int
    openai_timeout: float  # seconds of silence
    openai_vision: bool | None  # whether the model takes images; None: its name tells
    system_prompt: str
    admin_users: tuple[str, ...]  # beside the workspace's admins and owners
    allow_channels: tuple[str, ...]  # in which alone questions are answered; (): in all
    allow_users: tuple[str, ...]  # who alone is answered; (): everybody
    allow_guests: bool
    allow_external: bool  # people of other organisations, in channels that both share
    questions_per_minute: int | None  # of one person; None: any number
    prices: Prices = field(repr=False, metadata={"variable": "PRICES_FILE"})
    database_url: str = field(repr=False)  # it may hold a password
    retention_days: int | None  # None: what is kept is kept for ever
    max_concurrent_answers: int
    host: str
    port: int | None
    metrics_host: str
    metrics_port: int | None  # None: no metrics are counted
    log_level: str
    log_format: Format

    @property
    def uses_socket_mode(self) -> bool:
        """Socket Mode wins where both are set up."""
        return self.slack_app_token is not None

    @property
    def models(self) -> tuple[str, ...]:
        """All that may answer; the first does where nothing else is chosen."""
        return tuple(dict.fromkeys((self.openai_model, *self.openai_models)))

    @property
    def secrets(self) -> frozenset[str]:
        """What no log may show, by its value."""
        password = urlsplit(self.database_url).password or ""
        query = parse_qsl(urlsplit(self.openai_base_url).query)
        found = {
            *(self.slack_bot_token, self.slack_app_token, self.slack_signing_secret),
            *(self.openai_api_key, password, unquote(password)),
            *(value for _, value in query),
        }
        return frozenset(each for each in found if each and len(each) >= SHORTEST_SECRET)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """:raises SettingsError: naming every problem."""
        read = _Reader(env)
        app_token = read.optional("SLACK_APP_TOKEN", _token("xapp-", "Basic Information page"))
        secret = read.optional("SLACK_SIGNING_SECRET", _signing_secret)
        port = read.optional("PORT", _whole(0, 65_535))
        base_url = read.optional("OPENAI_BASE_URL", _url)
        if read.is_missing("SLACK_APP_TOKEN") and read.is_missing("SLACK_SIGNING_SECRET"):
            read.complain(
                "SLACK_APP_TOKEN",
                "is missing: set it for Socket Mode, or SLACK_SIGNING_SECRET and PORT for HTTP",
            )
        elif read.is_missing("SLACK_APP_TOKEN") and read.is_missing("PORT"):
            read.complain("PORT", "is missing: Slack's events come over HTTP and need one")
        is_openai = read.is_missing("OPENAI_BASE_URL") or _host(base_url) == _host(OPENAI_URL)
        if is_openai and read.is_missing("OPENAI_API_KEY"):
            read.complain(
                "OPENAI_API_KEY",
                "is missing: set it, or OPENAI_BASE_URL for a server that needs no key",
            )
        settings = cls(
            slack_bot_token=read.required(
                "SLACK_BOT_TOKEN", _token("xoxb-", "OAuth & Permissions page")
            ),
            slack_app_token=app_token,
            slack_signing_secret=secret,
            slack_api_url=read.optional("SLACK_API_URL", _url, SLACK_URL).rstrip("/") + "/",
            slack_burst=read.optional("SLACK_BURST", _number(0.05, 1), 1.0),
            slack_streaming=read.optional("SLACK_STREAMING", _choice(LANES), "edit"),
            openai_api_key=read.optional("OPENAI_API_KEY", _key),
            openai_base_url=base_url or OPENAI_URL,
            openai_model=read.optional("OPENAI_MODEL", str, DEFAULT_MODEL),
            openai_models=read.optional("OPENAI_MODELS", _models, ()),
            openai_temperature=read.optional("OPENAI_TEMPERATURE", _number(0, 2)),
            openai_max_tokens=read.optional("OPENAI_MAX_TOKENS", _whole(0, 1_000_000), 4_000)
            or None,
            openai_context_tokens=read.optional(
                "OPENAI_CONTEXT_TOKENS", _whole(500, 10_000_000), 16_000
            ),
            openai_timeout=read.optional("OPENAI_TIMEOUT", _number(1, 3_600), 120.0),
            openai_vision=read.optional("OPENAI_VISION", _choice(VISION)),
            system_prompt=read.optional("SYSTEM_PROMPT", str, DEFAULT_SYSTEM_PROMPT),
            admin_users=read.optional("ADMIN_USERS", _users, ()),
            allow_channels=read.optional("ALLOW_CHANNELS", _channels, ()),
            allow_users=read.optional("ALLOW_USERS", _users, ()),
            allow_guests=read.optional("ALLOW_GUESTS", _yes_or_no, False),
            allow_external=read.optional("ALLOW_EXTERNAL", _yes_or_no, False),
            questions_per_minute=read.optional("QUESTIONS_PER_MINUTE", _whole(0, 10_000), 20)
            or None,
            prices=read.optional("PRICES_FILE", _prices, known_prices()),
            database_url=read.optional("DATABASE_URL", database_url, DEFAULT_DATABASE),
            retention_days=read.optional("RETENTION_DAYS", _whole(1, 36_500)),
            max_concurrent_answers=read.optional("MAX_CONCURRENT_ANSWERS", _whole(1, 10_000), 200),
            host=read.optional("HOST", str, "0.0.0.0"),  # platforms route to any address
            port=port,
            metrics_host=read.optional("METRICS_HOST", str, "127.0.0.1"),
            metrics_port=read.optional("METRICS_PORT", _whole(0, 65_535)),
            log_level=read.optional("LOG_LEVEL", _level, "INFO"),
            log_format=read.optional("LOG_FORMAT", _format, "text"),
        )
        if read.problems:
            raise SettingsError(read.problems)
        return settings


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """What reports and budgets need: the database, and none of the keys."""

    database_url: str = field(repr=False)
    slack_bot_token: str | None = field(repr=False)  # for names; None: ids do
    slack_api_url: str
    openai_model: str
    prices: Prices = field(repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "ReportSettings":
        """:raises SettingsError: naming every problem, but not that of a token."""
        read, unheard = _Reader(env), _Reader(env)
        token = unheard.optional("SLACK_BOT_TOKEN", _token("xoxb-", ""))
        settings = cls(
            database_url=read.optional("DATABASE_URL", database_url, DEFAULT_DATABASE),
            slack_bot_token=token,
            slack_api_url=read.optional("SLACK_API_URL", _url, SLACK_URL).rstrip("/") + "/",
            openai_model=read.optional("OPENAI_MODEL", str, DEFAULT_MODEL),
            prices=read.optional("PRICES_FILE", _prices, known_prices()),
        )
        if read.problems:
            raise SettingsError(read.problems)
        return settings


def database_url(text: str) -> str:
    """The URL as `bot.store` takes it. ``bot.db`` alone is a SQLite file."""
    if text.startswith(("postgres://", "postgresql://")):
        return _postgres_url(text)
    scheme, _, rest = text.partition("://") if "://" in text else ("sqlite", "", f"/{text}")
    path, _, query = rest.partition("?")
    if scheme not in ("sqlite", "sqlite+aiosqlite") or path[:1] not in ("", "/"):
        raise ValueError("must look like sqlite:///path/to/bot.db or postgresql://host/database")
    if path in ("", "/") or ":memory:" in path or "mode=memory" in query:
        raise ValueError("must name a file: in memory everything is lost at each restart")
    return f"sqlite+aiosqlite://{rest}"


def _postgres_url(text: str) -> str:
    """As platforms give it, less what only libpq understands."""
    parts = urlsplit("postgresql" + text[text.index(":") :])
    if not (parts.hostname or "host=" in parts.query):
        raise ValueError("must name a host: postgresql://user:password@host/database")
    kept = [pair for pair in parts.query.split("&") if not pair.startswith("channel_binding=")]
    return parts._replace(query="&".join(kept)).geturl()


DEFAULT_DATABASE = database_url("bot.db")


class _Reader:
    """Reads variables one by one and gathers what is wrong with them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[str] = []

    def is_missing(self, name: str) -> bool:
        return not self._env.get(name, "").strip()

    def complain(self, name: str, problem: str) -> None:
        self.problems.append(f"{name} {problem}")

    def required(self, name: str, parse: Callable[[str], str]) -> str:
        if self.is_missing(name):
            self.complain(name, "is missing")
            return ""
        return self.optional(name, parse, "")

    def optional(self, name: str, parse: Callable[[str], T], default: T = None) -> T:  # type: ignore[assignment]
        """The parsed value, or the default where the variable is unset, empty or wrong."""
        text = self._env.get(name, "").strip()
        if not text:
            return default
        if text in PLACEHOLDERS:
            self.complain(name, "is still the placeholder of .env.example: fill it in or remove it")
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.complain(name, str(error))
            return default


def _token(prefix: str, page: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(rf"{prefix}[\w.-]+", text, re.ASCII):
            raise ValueError(f"must begin with {prefix} (copy it from the app's {page})")
        return text

    return parse


def _signing_secret(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise ValueError("must be 32 characters of 0-9 and a-f (from the Basic Information page)")
    return text


def _key(text: str) -> str:
    # It travels in an HTTP header, which takes nothing else; quotes come from `docker --env-file`.
    if not re.fullmatch(r"[!-~]+", text) or text[0] in "\"'":
        raise ValueError("must be one word of plain characters, without quotes around it")
    return text


def _users(text: str) -> tuple[str, ...]:
    return _ids(
        text,
        r"[UW][A-Z0-9]{2,31}",
        "ids of people with commas between them, like U012AB3CD (in Slack: a person's profile > "
        "... > Copy member ID)",
    )


def _channels(text: str) -> tuple[str, ...]:
    return _ids(
        text,
        r"[CG][A-Z0-9]{2,31}",
        "ids of channels with commas between them, like C012AB3CD (in Slack: the channel's name > "
        "About, at the bottom)",
    )


def _ids(text: str, form: str, what: str) -> tuple[str, ...]:
    ids = _listed(text)
    wrong = [id for id in ids if not re.fullmatch(form, id, re.ASCII)]
    if wrong or not ids:
        named = ", ".join(repr(id[:LONGEST_ID]) for id in wrong[:MOST_NAMED] or [text])
        raise ValueError(f"must be {what}; not {named}")
    return ids


def _models(text: str) -> tuple[str, ...]:
    models = _listed(text)
    if len(models) > MOST_MODELS or any(len(model) > LONGEST_MODEL for model in models):
        raise ValueError(
            f"must be names of models with commas between them, at most {MOST_MODELS} of at most "
            f"{LONGEST_MODEL} characters"
        )
    return models


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, re.split(r"[,\s]+", text))))


def _yes_or_no(text: str) -> bool:
    word = text.lower()
    if word not in ("yes", "no", "true", "false", "1", "0"):
        raise ValueError("must be yes or no")
    return word in ("yes", "true", "1")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (re.fullmatch(r"[0-9]{1,9}", text) and low <= int(text) <= high):
            raise ValueError(f"must be a whole number from {low} to {high:,}")
        return int(text)

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:,g}")
        return value

    return parse


def _choice(meanings: Mapping[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        if text.lower() not in meanings:
            raise ValueError(f"must be one of {', '.join(meanings)}")
        return meanings[text.lower()]

    return parse


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://\S+", text, re.IGNORECASE) or _host(text) is None:
        raise ValueError("must be a URL that begins with http:// or https://")
    if "@" in urlsplit(text).netloc:  # logs and errors show addresses
        raise ValueError("must not hold a user name or password")
    return text


def _host(url: str | None) -> str | None:
    """The host that a URL names, None where it is malformed."""
    try:
        parts = urlsplit(url or "")
        return parts.hostname if parts.port != 0 else None  # reading the port checks it
    except ValueError:  # its text may quote the URL with a password
        return None


def _prices(text: str) -> Prices:
    try:
        return known_prices().under(Path(text).read_text(encoding="utf-8"), text)
    except OSError as error:
        raise ValueError(f"{text} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{text} is not a text file in UTF-8") from error


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()


def _format(text: str) -> Format:
    match text.lower():
        case "text":
            return "text"
        case "json":
            return "json"
    raise ValueError("must be text or json")


# Every variable that is read, for .env.example and its test.
VARIABLES = tuple(f.metadata.get("variable", f.name.upper()) for f in fields(Settings))
