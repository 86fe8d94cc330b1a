import os
from pathlib import Path
from typing import Any

import pytest

from cashpay_pipeline.errors import SettingsError
from cashpay_pipeline.settings import Settings, load_settings

OAUTH2 = {
    "username": "api.example",
    "password": "made-up-password",
    "client_id": "client-canary",
    "client_secret": "made-up",
}
CASHPAY = {"login": "demo.merchant", "api_key": "EXAMPLE-API-KEY-NOT-REAL", "api_reference": "17"}
URL = "https://cashpay.example.test/api"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither this machine's variables nor a .env nearby."""

    for name in list(os.environ):
        if name.startswith("CASHPAY_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def message_of(**values: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(**values)
    return str(caught.value)


def test_nothing_set_is_valid_and_means_the_simulator() -> None:
    settings = load_settings()
    assert not settings.has_credentials and list(settings.secrets()) == []


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        (OAUTH2, "oauth2"),
        (CASHPAY, "cashpay"),
        ({**OAUTH2, "api_key": CASHPAY["api_key"]}, "oauth2"),
        ({**OAUTH2, **CASHPAY, "auth": "oauth2"}, "oauth2"),
        ({**OAUTH2, **CASHPAY, "auth": "cashpay"}, "cashpay"),
    ],
)
def test_A11_the_scheme_is_the_one_that_is_complete(values: dict[str, str], scheme: str) -> None:
    settings = load_settings(base_url=URL, **values)
    assert settings.has_credentials and settings.scheme == scheme


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"base_url": URL}, ["USERNAME", "PASSWORD", "CLIENT_ID", "CLIENT_SECRET"]),
        ({"base_url": URL, "auth": "cashpay"}, ["LOGIN", "API_KEY", "API_REFERENCE"]),
        ({"base_url": URL, "username": "api.example"}, ["PASSWORD", "CLIENT_ID", "CLIENT_SECRET"]),
        ({"base_url": URL, "login": "demo"}, ["API_KEY", "API_REFERENCE"]),
        ({**OAUTH2}, ["BASE_URL"]),
        ({**CASHPAY}, ["BASE_URL"]),
    ],
)
def test_A11_missing_settings_are_named(values: dict[str, str], names: list[str]) -> None:
    text = message_of(**values)
    assert "missing: " + ", ".join(f"CASHPAY_{name}" for name in names) in text


def test_A11_both_schemes_need_a_choice_and_no_value_is_shown() -> None:
    text = message_of(base_url=URL, **OAUTH2, **CASHPAY)
    assert "set CASHPAY_AUTH to oauth2 or cashpay" in text
    for value in [*OAUTH2.values(), CASHPAY["api_key"], CASHPAY["login"]]:
        assert value not in text.replace("CASHPAY_", "")


@pytest.mark.parametrize("name", ["username", "password", "client_id", "client_secret"])
def test_A10_blanks_around_a_pasted_value_are_trimmed(name: str) -> None:
    settings = load_settings(base_url=URL, **{**OAUTH2, name: f" \t{OAUTH2[name]}\n"})
    assert getattr(settings, name).get_secret_value() == OAUTH2[name]


@pytest.mark.parametrize("name", ["login", "api_key", "api_reference"])
def test_A10_a_key_that_is_not_ascii_is_refused_by_name(name: str) -> None:
    text = message_of(base_url=URL, **{**CASHPAY, name: "clé-canary"})
    assert f"CASHPAY_{name.upper()}" in text and "not ASCII" in text and "canary" not in text


def test_the_environment_and_the_env_file_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"CASHPAY_{name.upper()}={value}" for name, value in OAUTH2.items()]
    Path(".env").write_text("\n".join([f"CASHPAY_BASE_URL={URL}/", *lines, "CASHPAY_PAGE_SIZE=50"]))
    monkeypatch.setenv("CASHPAY_PAGE_SIZE", "20")
    monkeypatch.setenv("CASHPAY_PROXY", "")
    settings = load_settings()
    assert (settings.base_url, settings.page_size, settings.proxy) == (URL, 20, None)
    assert set(settings.secrets()) == set(OAUTH2.values())


@pytest.mark.parametrize(
    "address",
    ["cashpay.example.test", "ftp://cashpay.example.test", "https://", "https://me:pass@cashpay.example.test/api",
     "https://:me:pass@cashpay.example.test/api", "https://:@cashpay.example.test", "https://me:pass：1@h.test/api",
     "https://me:pass@℀.test/api", "https://me:pass@[h.test/api", "https://cashpay..test/api",
     "https://cashpay.example.test/api?x=1", "https://cashpay.example.test/api#x", "http://cashpay.example.test/api"],
)  # fmt: skip
def test_an_address_that_would_not_do_is_refused(address: str) -> None:
    text = message_of(base_url=address, **OAUTH2)
    assert "CASHPAY_BASE_URL" in text and "me:pass" not in text


@pytest.mark.parametrize(
    "address",
    [
        "foo",
        "proxy.example.test:3128",
        "http://",
        "http://me:canary@proxy.test:many",
        "http://me:canary@proxy test:1",
        "http://me:canary@a..b:1",
        "http://me:canary：1@proxy.test",
        "http://me:canary@:1",
        "http://canary y/x",
    ],
)
def test_a_proxy_that_would_not_do_is_refused(address: str) -> None:
    text = message_of(proxy=address)
    assert "CASHPAY_PROXY: not an address such as http://" in text and "canary" not in text and "many" not in text


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("page_size", "1o0", "must be a whole number"),
        ("page_size", "0", "must be 1 or more"),
        ("first_page", "2", "must be 1 or less"),
        ("requests_per_second", "fast", "must be a number"),
        ("requests_per_second", "nan", "must be a number"),
        ("requests_per_second", "inf", "must be a number"),
        ("requests_per_second", "0", "must be more than 0.0"),
        ("pii", "hide", "must be 'mask', 'keep' or 'drop'"),
        ("account", "my shop", "may have letters, digits, points, hyphens and underlines only"),
        ("account", "a" * 65, "may have 64 characters at most"),
    ],
)
def test_a_value_that_will_not_do_is_told_in_plain_words(name: str, value: str, problem: str) -> None:
    assert message_of(**{name: value}).splitlines()[0] == f"Wrong: CASHPAY_{name.upper()}: {problem} [settings]"


def test_two_parameters_of_one_name_are_refused() -> None:
    """One of the two would never be sent, and each page be the first one."""
    assert "CASHPAY_PAGE_PARAM and CASHPAY_SIZE_PARAM are the same name" in message_of(page_param="limit")


def test_a_path_in_the_home_folder_is_meant_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In .env no shell puts the folder in place of the ~, and a folder `~` is nobody's wish."""
    monkeypatch.setenv("HOME", str(tmp_path))
    Path(".env").write_text("CASHPAY_DATA_DIR=~/data\nCASHPAY_ORDERS=~/o.csv\nCASHPAY_ORDERS_MAPPING=~/o.toml\n")
    settings = load_settings()
    assert (settings.data_dir, settings.orders) == (tmp_path / "data", str(tmp_path / "o.csv"))
    assert settings.orders_mapping == tmp_path / "o.toml"
    assert load_settings(orders="postgres:dbname=shop").orders == "postgres:dbname=shop"


def test_an_env_file_with_the_mark_of_notepad_is_read() -> None:
    Path(".env").write_bytes(b"\xef\xbb\xbfCASHPAY_PAGE_SIZE=50\r\n")
    assert load_settings().page_size == 50


def test_an_env_file_that_is_not_utf_8_is_told_with_the_line() -> None:
    Path(".env").write_bytes("# La clé\nCASHPAY_PAGE_SIZE=50\n# Les numéros".encode("cp1252"))
    text = message_of()
    assert ".env is not saved as UTF-8: line 1" in text and str(Path(".env").absolute()) in text


def test_an_env_file_that_may_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    Path(".env").write_text("CASHPAY_PAGE_SIZE=50")
    monkeypatch.setattr(Path, "open", refuse)
    text = message_of()
    assert ".env cannot be read: Permission denied." in text and str(Path(".env").absolute()) in text


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_value_in_the_env_file_is_taken_as_it_stands(monkeypatch: pytest.MonkeyPatch, quote: str) -> None:
    """A password may hold what a shell would put a variable's value in place of."""
    monkeypatch.setenv("CASHPAY_PII_KEY", "another")
    Path(".env").write_text(f"CASHPAY_PASSWORD={quote}p$1${{CASHPAY_PII_KEY}}${{x:-y}}{quote}")
    password = load_settings(base_url=URL, **{name: OAUTH2[name] for name in OAUTH2 if name != "password"}).password
    assert password is not None and password.get_secret_value() == "p$1${CASHPAY_PII_KEY}${x:-y}"


@pytest.mark.parametrize(
    "text", ["# Ours\n\nCASHPAY_PASSWORD: canary\n", "\n\nCASHPAY_PASSWORD:canary", "A=1\n\nCASHPAY_PASSWORD='canary"]
)
def test_an_env_file_of_another_form_is_told_with_the_line(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Passed over, it would make a shop of its own into a made-up one."""
    Path(".env").write_text(text)
    told = message_of()
    assert ".env is not of the form NAME=value: see line 3." in told and str(Path(".env").absolute()) in told
    assert "canary" not in f"{told}{caplog.text}".lower()


def test_a_folder_in_the_place_of_the_env_file_is_told() -> None:
    """Docker makes one where the file to be mounted is missing; a shop of its own became a made-up one."""
    Path(".env").mkdir()
    text = message_of()
    assert "In the place of the file .env is a folder" in text and str(Path(".env").absolute()) in text


def test_a_virtual_environment_of_that_name_is_no_env_file() -> None:
    Path(".env").mkdir()
    Path(".env/pyvenv.cfg").touch()
    assert not load_settings().has_credentials


def test_a_misspelled_name_is_told_once_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path(".env").write_text("cashpay_pagesize=50\nOTHER=1")
    monkeypatch.setenv("CASHPAY_COLOUR", "blue")
    monkeypatch.setenv("CASHPAY_SERVICE_HOST", "10.0.0.1")  # as Kubernetes does for a service `cashpay`
    monkeypatch.setenv("CASHPAY_PORT_3030_TCP", "tcp://10.0.0.1:3030")
    for _ in range(2):
        load_settings()
    assert caplog.messages == [
        "CASHPAY_COLOUR is no setting and changes nothing.",
        "CASHPAY_PAGESIZE is no setting and changes nothing. Is it CASHPAY_PAGE_SIZE?",
    ]


@pytest.mark.parametrize("line", ["CASHPAY_API_KEYcanary123", "CASHPAY_API_KEY:canary456"])
def test_a_line_without_a_sign_of_equality_is_told_and_not_repeated(line: str) -> None:
    """It may hold the key itself."""
    Path(".env").write_text(f"CASHPAY_PAGE_SIZE=50\n{line}\n")
    with pytest.raises(SettingsError, match="see line 2") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["proxy.example.test", "10.0.0.1", "[::1]", "proxy_1", "xn--d1acufc.test.", "bücher.test"]
)
def test_a_proxy_by_any_name_or_address_will_do(host: str) -> None:
    assert load_settings(proxy=f"http://me:pass@{host}:3128").proxy is not None


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("alert_webhook", "https://hooks.example.test：canary/x"),
        ("alert_webhook", "https://me:canary@℀.test/x"),
        ("alert_mail_smtp", "smtp://me:canary@mail.test：587"),
        ("alert_mail_smtp", "smtp://me:canary@mail.test:many"),
    ],
)
def test_S1_an_address_that_cannot_be_taken_apart_is_refused_and_not_repeated(name: str, address: str) -> None:
    text = message_of(**{name: address}, alert_mail_to="a@b.example")
    assert f"CASHPAY_{name.upper()}: not an address such as" in text and "canary" not in text


def test_a_misspelled_name_in_code_is_refused_with_the_nearest_one() -> None:
    """It would store one account's bills as another's."""
    with pytest.raises(SettingsError, match=r"^acount is no setting\. Is it CASHPAY_ACCOUNT\?"):
        load_settings(acount="north")


def test_a_setting_with_two_values_is_told_once_without_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where .env is mended while Dagster runs, which has taken it into its environment."""
    Path(".env").write_text(
        "CASHPAY_PII_KEY=canary-new-and-long-enough-to-be-a-key\nCASHPAY_PAGE_SIZE=50\ncashpay_account=a\n"
    )
    monkeypatch.setenv("CASHPAY_PII_KEY", "canary-old-and-long-enough-to-be-a-key")
    monkeypatch.setenv("CASHPAY_PAGE_SIZE", "50")
    monkeypatch.setenv("CASHPAY_ACCOUNT", "")
    for _ in range(2):
        settings = load_settings()
    assert settings.pii_key is not None and settings.pii_key.get_secret_value().startswith("canary-old")
    assert settings.account == "a"
    (told,) = caplog.messages
    assert told.startswith("CASHPAY_PII_KEY has one value in the environment") and "canary" not in told


@pytest.mark.parametrize(
    ("address", "environment"),
    [
        ("https://Cashpay.example.test/sandbox/", "cashpay.example.test/sandbox"),
        ("http://127.0.0.1:8123/api", "this-machine/api"),
        ("http://localhost:99/api", "this-machine/api"),
    ],
)
def test_A12_the_environment_is_host_and_path(address: str, environment: str) -> None:
    assert load_settings(base_url=address, **OAUTH2).environment == environment


def test_S1_no_secret_is_in_a_repr_or_an_error() -> None:
    secrets = {**OAUTH2, "pii_key": "pii-canary", "proxy": "http://me:proxy-canary@proxy.example.test:3128"}
    settings = load_settings(base_url=URL, **secrets)
    for text in (repr(settings), str(settings), str(settings.model_dump()), message_of(**secrets, page_size=0)):
        for value in [*secrets.values(), "proxy-canary"]:
            assert value not in text.replace("example.test", "")
    assert {"pii-canary", "proxy-canary"} <= set(settings.secrets())


@pytest.mark.parametrize(
    ("name", "value"),
    [("page_size", 0), ("salt_bits", 64), ("max_in_flight", 0), ("requests_per_second", 0), ("first_page", 2),
     ("account", "a b"), ("source_timezone", "Mars/Base"), ("pii", "maybe"), ("auth", "basic")],
)  # fmt: skip
def test_values_out_of_range_are_named(name: str, value: Any) -> None:
    assert f"CASHPAY_{name.upper()}" in message_of(**{name: value})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings(_env_file=None).page_size = 5  # type: ignore[misc]


@pytest.mark.parametrize("how", ["closed", "too long a name"])
def test_a_data_folder_that_cannot_be_looked_into_is_told(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the service, for another user: whether a file is there ended in a traceback, and in no alert."""
    folder = tmp_path / ("data" if how == "closed" else 300 * "a")
    if how == "closed":
        folder.mkdir(mode=0)
    monkeypatch.chdir("/")  # where nobody may look for .env
    user = os.geteuid()
    os.seteuid(user or 65534)  # no mode binds root
    try:
        with pytest.raises(SettingsError, match="cannot look into the folder") as caught:
            load_settings(data_dir=folder)
    finally:
        os.seteuid(user)
    assert str(folder) in caught.value.where
    assert "CASHPAY_DATA_DIR" in caught.value.next_step
