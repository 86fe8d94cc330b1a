"""Telling a person: webhook, mail and command, against real servers; nothing secret is told, nobody else is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster._grpc.utils import default_sensor_grpc_timeout
from listeners import Mailbox, Webhook, mailbox, webhook

from cashpay_pipeline import alerts
from cashpay_pipeline.errors import AlertError, SettingsError
from cashpay_pipeline.settings import load_settings

PASSWORD = "canary-mail-password"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


@pytest.fixture
def mails() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


@pytest.fixture
def command(tmp_path: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    script = tmp_path / "tell.sh"
    script.write_text(f'#!/bin/sh\n{{ echo "$@"; cat; env; }} > {tmp_path}/told\n')
    script.chmod(0o755)
    yield f"'{script}' --priority high", (tmp_path / "told").read_text


def mail_settings(mails: Mailbox, **fields: Any) -> dict[str, Any]:
    smtp = f"smtp://alerts%40shop:{PASSWORD}@{mails.address}"
    return {"alert_mail_to": "owner@shop.example, it@shop.example", "alert_mail_smtp": smtp} | fields


def test_every_channel_gets_the_message(
    hook: Webhook, mails: Mailbox, command: tuple[str, Callable[[], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHPAY_PII_KEY", "canary-environment")
    monkeypatch.setenv("cashpay_orders", "canary-environment")  # the settings take small letters too
    settings = load_settings(alert_webhook=hook.url, alert_command=command[0], **mail_settings(mails))
    assert alerts.send(settings, "CashPay main: a look", "Line é one\nLine two") == []
    assert hook.posts == [{"text": "*CashPay main: a look*\nLine é one\nLine two"}]
    (mail,) = mails.mails
    assert (mail["Subject"], mail["To"]) == ("CashPay main: a look", "owner@shop.example, it@shop.example")
    assert (mail["From"], mail.get_content()) == ("owner@shop.example", "Line é one\r\nLine two\r\n")
    assert mail["Date"].datetime.tzinfo and mail["Message-ID"].startswith("<")
    assert mails.logins == [f"alerts@shop {PASSWORD}"]
    assert command[1]().startswith("--priority high CashPay main: a look\nLine é one\nLine two")
    assert "canary-environment" not in command[1]()


def test_a_password_for_mail_goes_over_no_line_in_the_clear(mails: Mailbox) -> None:
    """A server that offers no STARTTLS, or somebody between who has taken the offer away."""
    elsewhere = mails.address.replace("127.0.0.1", "127.1")  # not known to be this machine
    for login, delivered in ((f"alerts:{PASSWORD}@", 0), ("", 1)):
        settings = load_settings(alert_mail_to="a@shop.example", alert_mail_smtp=f"smtp://{login}{elsewhere}")
        if delivered:
            assert alerts.send(settings, "t", "x") == []
        else:
            with pytest.raises(AlertError, match="SMTPNotSupportedError"):
                alerts.send(settings, "t", "x")
        assert (len(mails.mails), mails.logins) == (delivered, [])


def test_a_secret_of_the_settings_is_masked(hook: Webhook, mails: Mailbox) -> None:
    settings = load_settings(alert_webhook=hook.url, pii_key="canary-pii", **mail_settings(mails))
    alerts.send(settings, "canary-pii", f"{PASSWORD} {hook.url}")
    told = hook.texts[0] + mails.mails[0].as_string()
    assert "canary" not in told and "***" in told


def test_a_secret_is_masked_however_it_is_written_and_the_lines_stay(hook: Webhook) -> None:
    settings = load_settings(alert_webhook=hook.url, pii_key="canary/pii+key")
    alerts.send(settings, "t", 'one\n{"a": "canary\\/pii+key"}\ncanary%2Fpii%2Bkey')
    assert hook.texts == ['*t*\none\n{"a": "***"}\n***']


def test_one_channel_that_fails_does_not_keep_the_others_from_telling(hook: Webhook, mails: Mailbox) -> None:
    mails.refuses = True
    settings = load_settings(alert_webhook=hook.url, alert_command="false", **mail_settings(mails))
    problems = alerts.send(settings, "t", "x")
    assert len(hook.posts) == 1
    assert problems == [
        "CASHPAY_ALERT_MAIL_TO: SMTPRecipientsRefused",
        "CASHPAY_ALERT_COMMAND: CalledProcessError 1",
    ]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_is_an_error_without_its_address(hook: Webhook, status: int) -> None:
    """A redirect is not followed: the message is for the address in the settings."""
    hook.status = status
    with pytest.raises(AlertError, match=f"CASHPAY_ALERT_WEBHOOK: HTTPError {status}") as failed:
        alerts.send(load_settings(alert_webhook=hook.url), "t", "x")
    assert "canary" not in str(failed.value) and failed.value.__context__ is None


def test_a_channel_that_hangs_keeps_no_other_from_telling_and_ends_before_the_tick(
    hook: Webhook, mails: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick that takes a minute is forgotten, and with it what was told: it would be told again each minute."""
    assert default_sensor_grpc_timeout() - 20 >= alerts.PATIENCE_SECONDS
    monkeypatch.setattr(alerts, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(alerts, "COMMAND_SECONDS", 2)
    hanging = tmp_path / "hang.sh"
    hanging.write_text("#!/bin/sh\nexec sleep 5\n")
    hanging.chmod(0o755)
    settings = load_settings(alert_webhook=hook.url, alert_command=str(hanging), **mail_settings(mails))
    assert alerts.send(settings, "t", "x") == ["CASHPAY_ALERT_COMMAND: no answer"]
    assert len(hook.posts) == len(mails.mails) == 1
    with pytest.raises(AlertError, match=r"\(CASHPAY_ALERT_COMMAND: no answer\)"):
        alerts.send(load_settings(alert_command=str(hanging)), "t", "x")


def test_nobody_there_is_an_error_of_ours(tmp_path: Path) -> None:
    settings = load_settings(
        alert_webhook="http://127.0.0.1:9/x",
        alert_command=str(tmp_path / "nothing"),
        alert_mail_to="a@b.example",
        alert_mail_smtp="smtp://127.0.0.1:9",
    )
    with pytest.raises(AlertError, match=r"URLError; .*Connection.*; .*FileNotFoundError"):
        alerts.send(settings, "t", "x")


def test_no_channel_is_no_channel() -> None:
    assert not alerts.has_channel(load_settings())
    assert alerts.send(load_settings(), "t", "x") == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"alert_webhook": "http://elsewhere.example/canary"}, "CASHPAY_ALERT_WEBHOOK"),
        ({"alert_mail_to": "a@b.example"}, "CASHPAY_ALERT_MAIL_SMTP"),
        ({"alert_mail_smtp": "canary.example:25"}, "CASHPAY_ALERT_MAIL_SMTP"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(fields: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as refused:
        load_settings(**fields)
    assert "canary" not in str(refused.value)
