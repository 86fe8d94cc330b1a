"""Everything a user can set, from the environment or `.env`, validated once. Secrets are typed as secrets."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from cashpay_pipeline.clock import BUSINESS_TIMEZONE
from cashpay_pipeline.environment import EnvFile, nearest, variable, warn_of_names
from cashpay_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

OAUTH2_FIELDS = ("username", "password", "client_id", "client_secret")
CASHPAY_AUTH_FIELDS = ("login", "api_key", "api_reference")
HOST = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?|[0-9a-f]*:[0-9a-f:.]+(%[\w.-]+)?")
"""A name, or an address of either version: what else urllib takes for a host, no connection is made to."""
IN_WORDS = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "may have letters, digits, points, hyphens and underlines only",
    "string_too_long": "may have {max_length} characters at most",
}
"""What Pydantic finds, in the words of who has set it."""

THIS_MACHINE = "this-machine"
"""What the environment of a CashPay on this machine begins with: that is the simulator."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("not a time zone such as Africa/Lome or Europe/Paris") from None
    return name


def is_local(host: str | None) -> bool:
    """Whether it is this machine: what goes there travels over no line."""
    return host in ("localhost", "127.0.0.1", "::1")


def _parts(address: str) -> SplitResult:
    """An address taken apart; nothing at all where that cannot be: urllib's error repeats it, with its password."""
    try:
        parts = urlsplit(address)
        is_whole = parts.port != 0 and HOST.fullmatch(parts.hostname or "")
    except ValueError:  # such as a port that is no number
        is_whole = None
    return parts if is_whole else urlsplit("")


class Settings(BaseSettings):
    """One merchant account, where its data lies, and how politely to read it.

    With no credentials at all the settings are valid and `has_credentials` is false: the simulator is used then.
    """

    model_config = SettingsConfigDict(
        env_prefix="CASHPAY_",
        env_file=".env",
        env_file_encoding="utf-8-sig",  # Notepad may put a mark before the first name
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    base_url: str | None = None
    auth: Literal["oauth2", "cashpay"] | None = None
    username: SecretStr | None = None
    password: SecretStr | None = None
    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None
    login: SecretStr | None = None
    api_key: SecretStr | None = None
    api_reference: SecretStr | None = None
    salt_bits: int = Field(63, ge=24, le=63)

    account: str = Field("main", min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")
    data_dir: Path = Path("data")

    page_size: int = Field(100, ge=1, le=10_000)
    page_param: str = Field("page", min_length=1)
    size_param: str = Field("limit", min_length=1)
    first_page: int = Field(1, ge=0, le=1)

    max_in_flight: int = Field(2, ge=1, le=64)
    requests_per_second: float = Field(5.0, gt=0, le=10_000, allow_inf_nan=False)
    request_budget: int = Field(10_000, ge=10)
    overlap_hours: int = Field(48, ge=0)
    proxy: SecretStr | None = None  # its address may hold a password

    pii: Literal["mask", "keep", "drop"] = "mask"
    pii_key: SecretStr | None = None
    source_timezone: Annotated[str, AfterValidator(_zone)] = BUSINESS_TIMEZONE

    orders: str | None = None
    orders_mapping: Path | None = None

    alert_webhook: SecretStr | None = None  # whoever has the address can post to it
    alert_mail_to: str | None = None
    alert_mail_from: str | None = None
    alert_mail_smtp: SecretStr | None = None  # its address may hold a password
    alert_command: str | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is read, the first that has a value wins; `.env` by ourselves."""
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        return init_settings, env_settings, EnvFile(settings_cls, dotenv_settings.env_file)

    @field_validator(*OAUTH2_FIELDS, *CASHPAY_AUTH_FIELDS, mode="before")
    @classmethod
    def _trim(cls, value: Any) -> Any:
        """A blank at the end of a pasted key breaks the signature; Semoa's own plug-in trims as well (A10)."""
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        return text.strip() or None if isinstance(text, str) else value

    @field_validator(*CASHPAY_AUTH_FIELDS)
    @classmethod
    def _ascii(cls, value: SecretStr | None) -> SecretStr | None:
        """Header values and signed text are ASCII."""
        if value is not None and not value.get_secret_value().isascii():
            raise ValueError("holds a character that is not ASCII: copy it again from CashPay")
        return value

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = _parts(value.strip())
        extra = parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in ("http", "https") or extra:
            raise ValueError("not an address such as https://sandbox.semoa-payments.com/api")
        if parts.scheme == "http" and not is_local(parts.hostname):
            raise ValueError("must be https: credentials would travel in the clear")
        return value.strip().rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value and _parts(value.get_secret_value()).scheme not in ("http", "https"):
            raise ValueError("not an address such as http://proxy.example.com:3128")
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _webhook(cls, value: SecretStr | None) -> SecretStr | None:
        parts = _parts(value.get_secret_value()) if value else None
        if parts and not (parts.hostname and (parts.scheme == "https" or is_local(parts.hostname))):
            raise ValueError("not an address such as https://hooks.example.com/services/...")
        return value

    @field_validator("alert_mail_smtp")
    @classmethod
    def _mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value and _parts(value.get_secret_value()).scheme not in ("smtp", "smtps"):
            raise ValueError("not an address such as smtp://user:password@mail.example.com:587 (or smtps://)")
        return value

    @field_validator("data_dir", "orders", "orders_mapping", mode="before")
    @classmethod
    def _home(cls, value: Any) -> Any:
        """In `.env` no shell puts the home folder in place of a `~`, and nobody wants a folder of that name."""
        is_text = isinstance(value, str | Path)
        return os.path.expanduser(value) if is_text else value  # noqa: PTH111 - a Path would spoil postgres://

    @model_validator(mode="after")
    def _mail(self) -> Self:
        if self.alert_mail_to and self.alert_mail_smtp is None:
            raise ValueError("missing: CASHPAY_ALERT_MAIL_SMTP")
        return self

    @model_validator(mode="after")
    def _two_parameters(self) -> Self:
        if self.page_param == self.size_param:
            raise ValueError("CASHPAY_PAGE_PARAM and CASHPAY_SIZE_PARAM are the same name: only one would be sent")
        return self

    @model_validator(mode="after")
    def _complete(self) -> Self:
        given = {f for f in (*OAUTH2_FIELDS, *CASHPAY_AUTH_FIELDS) if getattr(self, f) is not None}
        if not given and self.base_url is None and self.auth is None:
            return self
        schemes = {"oauth2": set(OAUTH2_FIELDS), "cashpay": set(CASHPAY_AUTH_FIELDS)}
        complete = [name for name, fields in schemes.items() if fields <= given]
        # An API key alone is not half a scheme beside OAuth2: it verifies callbacks.
        started = [name for name, fields in schemes.items() if given & fields - {"api_key"}] or [
            name for name, fields in schemes.items() if given & fields
        ]
        if self.auth:
            wanted = schemes[self.auth]
        elif len(complete) == 1 and started in ([complete[0]], []):
            wanted = schemes[complete[0]]
        elif len(complete) == 2 or len(started) == 2:
            raise ValueError(
                "settings of both schemes are present: set CASHPAY_AUTH to oauth2 or cashpay, or remove "
                + " or ".join(", ".join(map(variable, sorted(schemes[s] & given))) for s in schemes)
            )
        else:
            wanted = schemes[started[0]] if started else set(OAUTH2_FIELDS)
        missing = [variable(f) for f in (*OAUTH2_FIELDS, *CASHPAY_AUTH_FIELDS) if f in wanted - given]
        if self.base_url is None:
            missing.append("CASHPAY_BASE_URL")
        if missing:
            raise ValueError(f"missing: {', '.join(missing)}")
        return self

    @property
    def has_credentials(self) -> bool:
        """Whether CashPay itself is to be read; otherwise the simulator is."""
        return self.base_url is not None

    @property
    def scheme(self) -> Literal["oauth2", "cashpay"]:
        """The scheme in use: the one asked for, or the one whose settings are complete."""
        if self.auth:
            return self.auth
        return "oauth2" if self.username is not None else "cashpay"

    @property
    def merchant(self) -> tuple[str, ...]:
        """Who logs in; passwords and keys are left out, for they are rotated (A12, A13)."""
        fields = ("username",) if self.scheme == "oauth2" else ("login", "api_reference")
        values = (getattr(self, field) for field in fields)
        return tuple(value.get_secret_value() for value in values if value is not None)

    @property
    def environment(self) -> str:
        """What the stored data belongs to: host and path, without the port of a server on this machine (A12)."""
        parts = urlsplit(self.base_url or "")
        if is_local(parts.hostname):
            return f"{THIS_MACHINE}{parts.path}"
        return f"{parts.netloc.lower()}{parts.path}"

    @property
    def data_folder(self) -> Path:
        """Where the files lie: made-up data has a folder of its own and can never mix with real data."""
        return self.data_dir if self.has_credentials else self.data_dir / "simulated"

    @property
    def warehouse_path(self) -> Path:
        """The working file: ours alone."""
        return self.data_folder / "warehouse.duckdb"

    @property
    def published_path(self) -> Path:
        """The copy that analysts open."""
        return self.data_folder / "analytics.duckdb"

    def secrets(self) -> Iterator[str]:
        """Every secret value, for scrubbing texts that come from outside."""
        for name in (*OAUTH2_FIELDS, *CASHPAY_AUTH_FIELDS, "pii_key"):
            value = getattr(self, name)
            if value is not None:
                yield value.get_secret_value()
        for address in (self.proxy, self.alert_webhook, self.alert_mail_smtp):
            if address is not None:
                yield address.get_secret_value()
                password = urlsplit(address.get_secret_value()).password
                if password:
                    yield password


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; keyword arguments win over the environment.

    Raises:
        SettingsError: naming each variable that is missing or wrong, never a value; or `.env` cannot be read or is
            a folder, or this user may not look into the data folder.
    """
    if unknown := min(overrides.keys() - Settings.model_fields.keys(), default=None):
        raise SettingsError(
            f"{unknown} is no setting.{nearest(unknown, Settings.model_fields)}",
            next_step="Correct the name in the code.",
        )
    try:
        _refuse_folder(Path(".env"))
        warn_of_names(Settings)
        settings = Settings(**overrides)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(
            f"The file .env is not saved as UTF-8: line {line} has a letter in another encoding.",
            where=str(Path(".env").absolute()),
            next_step="Save it as UTF-8 with your editor, then run again.",
        ) from None
    except OSError as error:
        raise SettingsError(
            f"The file .env cannot be read: {error.strerror}.",
            where=str(Path(".env").absolute()),
            next_step="Give this user the right to read it, or run in another folder.",
        ) from None
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        beginning = "Wrong" if all(problem["loc"] for problem in errors) else "The settings do not fit together"
        raise SettingsError(f"{beginning}: {'; '.join(map(_problem, errors))}") from None
    _refuse_hidden(settings.warehouse_path)
    return settings


def _refuse_folder(env: Path) -> None:
    """Passed over, it would make a shop of its own into a made-up one; some call a virtual environment so."""
    if env.is_dir() and not (env / "pyvenv.cfg").exists():
        raise SettingsError(
            "In the place of the file .env is a folder, which holds no settings.",
            where=str(env.absolute()),
            next_step="Remove it and put the file there; Docker makes such a folder where a file to be mounted is "
            "missing.",
        )


def _refuse_hidden(file: Path) -> None:
    """Whoever may not look into the data folder cannot know whether a file is there, which all that follows asks."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise SettingsError(
            f"CASHPAY_DATA_DIR: this user cannot look into the folder: {error.strerror}.",
            where=str(file.parent.absolute()),
            next_step="Run as the user whose folder it is, or set CASHPAY_DATA_DIR to another one.",
        ) from None


def _problem(error: "ErrorDetails") -> str:
    """What is wrong with a setting, or with all of them; never a value."""
    text = error["msg"].removeprefix("Value error, ")
    if error["type"] in IN_WORDS:
        text = IN_WORDS[error["type"]].format(**error.get("ctx", {}))
    return f"{variable(str(error['loc'][0]))}: {text}" if error["loc"] else text
