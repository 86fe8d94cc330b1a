"""Tell a person: by webhook (as Slack takes it), by mail, by a command of theirs; by all that are set.

A message holds our own sentences only: no record of CashPay's, and every secret in the settings is masked once more.
"""

import json
import os
import shlex
import smtplib
import ssl
import subprocess
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from threading import Thread
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from cashpay_pipeline.errors import AlertError
from cashpay_pipeline.redaction import SHORTEST_ANYWHERE, Redactor
from cashpay_pipeline.settings import Settings, is_local

TIMEOUT_SECONDS = 20
COMMAND_SECONDS = 30
PATIENCE_SECONDS = 40
"""For all channels at once: Dagster ends a tick after a minute, and what was told in it would be told again."""
NO_CHANNEL = "set CASHPAY_ALERT_WEBHOOK, CASHPAY_ALERT_MAIL_TO or CASHPAY_ALERT_COMMAND."


class WhomToTell(Settings):
    """Only what an alert needs, for when the other settings are wrong: of that, too, somebody must be told.

    From the environment alone, into which Dagster takes `.env`.
    """

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What an alert needs."""
        return (_Telling(settings_cls),)


class _Telling(EnvSettingsSource):
    def __call__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__call__().items() if k in ("account", "proxy") or k.startswith("alert_")}


def has_channel(settings: Settings) -> bool:
    """Whether anybody wants to be told."""
    return bool(settings.alert_webhook or settings.alert_mail_to or settings.alert_command)


def send(settings: Settings, title: str, text: str) -> list[str]:
    """Send by every channel that is set.

    Returns:
        What went wrong with some of the channels, while another one took the message.

    Raises:
        AlertError: no channel took it.
    """
    redactor = Redactor(secret for secret in settings.secrets() if len(secret) >= SHORTEST_ANYWHERE)
    title, text = redactor.mask(title), redactor.mask(text)
    channels: dict[str, tuple[Any, Callable[[Settings, str, str], None]]] = {
        "CASHPAY_ALERT_WEBHOOK": (settings.alert_webhook, _to_webhook),
        "CASHPAY_ALERT_MAIL_TO": (settings.alert_mail_to, _to_mail),
        "CASHPAY_ALERT_COMMAND": (settings.alert_command, _to_command),
    }
    wanted = {name: deliver for name, (setting, deliver) in channels.items() if setting}
    ends: dict[str, str] = {}

    def tell(name: str) -> None:
        try:
            wanted[name](settings, title, text)
            ends[name] = ""
        except Exception as error:
            # Only its kind: the text of such an error can hold an address with a secret in it.
            ends[name] = f"{name}: {type(error).__name__}{_status(error)}"

    threads = [Thread(target=tell, args=[name], daemon=True) for name in wanted]
    for thread in threads:
        thread.start()
    deadline = monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0, deadline - monotonic()))
    problems = [problem for name in wanted if (problem := ends.get(name, f"{name}: no answer"))]
    if problems and len(problems) == len(wanted):
        raise AlertError(f"No alert could be sent ({'; '.join(problems)}).")
    return problems


def _to_webhook(settings: Settings, title: str, text: str) -> None:
    request = urllib.request.Request(
        _secret(settings.alert_webhook),
        data=json.dumps({"text": f"*{title}*\n{text}"}).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "cashpay_pipeline"},
        method="POST",
    )
    proxy = _secret(settings.proxy)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {}), _NoRedirect()
    )
    with opener.open(request, timeout=TIMEOUT_SECONDS) as reply:
        reply.read(1000)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The message is for the address in the settings and for no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _to_mail(settings: Settings, title: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"] = title
    message["To"] = settings.alert_mail_to
    message["From"] = settings.alert_mail_from or (settings.alert_mail_to or "").partition(",")[0]
    message["Date"], message["Message-ID"] = localtime(), make_msgid(domain="cashpay.invalid")
    message.set_content(text)
    server = urlsplit(_secret(settings.alert_mail_smtp))
    tls = ssl.create_default_context()
    if server.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.hostname or "", server.port or 465, timeout=TIMEOUT_SECONDS, context=tls
        )
    else:
        connection = smtplib.SMTP(server.hostname or "", server.port or 25, timeout=TIMEOUT_SECONDS)
    with connection as smtp:
        smtp.ehlo()
        if server.scheme == "smtp" and smtp.has_extn("starttls"):
            smtp.starttls(context=tls)
            smtp.ehlo()
        elif server.scheme == "smtp" and server.username and not is_local(server.hostname):
            # Somebody on the line can take the offer out of the server's answer, and would read the password.
            raise smtplib.SMTPNotSupportedError("no STARTTLS")
        if server.username:
            smtp.login(unquote(server.username), unquote(server.password or ""))
        smtp.send_message(message)


def _to_command(settings: Settings, title: str, text: str) -> None:
    """The title is the last argument, the text comes on standard input; our own settings are not passed on."""
    subprocess.run(
        [*shlex.split(settings.alert_command or ""), title],
        input=text,
        text=True,
        timeout=COMMAND_SECONDS,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.upper().startswith("CASHPAY_")},
    )


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _status(error: Exception) -> str:
    code = getattr(error, "code", None) or getattr(error, "smtp_code", None) or getattr(error, "returncode", None)
    return f" {code}" if isinstance(code, int) else ""
