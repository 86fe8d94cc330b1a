"""Where settings come from: the environment, and `.env` as it stands. What in them is no setting, or is there twice."""

import logging
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from cashpay_pipeline.errors import SettingsError

KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT|PORT)(_\w+)?$")
"""Ends of the names of variables that Kubernetes itself makes for each service, `cashpay` for example."""

log = logging.getLogger("cashpay.settings")


def variable(field: str) -> str:
    """The name of a setting's variable."""
    return f"CASHPAY_{field.upper()}"


def nearest(field: str, known: Iterable[str]) -> str:
    """The question whether another setting was meant; empty if none has such a name."""
    return "".join(f" Is it {variable(name)}?" for name in get_close_matches(field, known, n=1))


class EnvFile(DotEnvSettingsSource):
    """`.env` as it stands: a password may hold `${...}`, in whose place python-dotenv would put a variable's value."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        with file_path.open(encoding=self.env_file_encoding) as stream:
            lines = list(parse_stream(stream))
        for line in lines:
            is_yaml = ":" in (line.key or "")
            if line.error or is_yaml or (line.key and line.value is None):  # passed over, it would not be missed
                text, number = line.original
                number += text[: -len(text.lstrip())].count("\n")
                raise SettingsError(
                    f"The file .env is not of the form NAME=value: see line {number}.",
                    where=str(file_path.absolute()),
                    next_step="Correct the line, then run again.",
                )
        return {line.key.lower(): line.value for line in lines if line.key and line.value}


def warn_of_names(settings: type[BaseSettings]) -> None:
    """Warn of a variable that is no setting: it changes nothing, and is no error, for a later version may know it.

    And of one that `.env` and the environment set differently: a correction in `.env` would have no effect.
    """
    environment, file = EnvSettingsSource(settings).env_vars, EnvFile(settings).env_vars
    for name in sorted(environment.keys() | file.keys()):
        if name.upper().startswith("CASHPAY_") and not KUBERNETES.search(name.upper()):
            field = name.upper().removeprefix("CASHPAY_").lower()
            if field not in settings.model_fields:
                question = nearest(field, settings.model_fields)
                _warn(f"{variable(field)} is no setting and changes nothing.{question}")
            if name in environment and name in file and environment[name] != file[name]:
                _warn(
                    f"{variable(field)} has one value in the environment and another in .env: that of the environment "
                    "is used. Restart what was started before .env was changed, such as `make ui`."
                )


@cache  # once a process: settings are read again by each step of a run
def _warn(text: str) -> None:
    log.warning(text)
