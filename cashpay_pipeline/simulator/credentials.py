"""The made-up credentials that the simulator accepts.

They are constants so that a demo needs no setup, and they say what they are, so that nobody takes
them for real ones.
"""

from dataclasses import asdict, dataclass, replace

MAIN_ACCOUNT = "main"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One merchant account's credentials for both schemes (cashpay-api, section 3).

    `repr` shows no secret, so that a traceback or a log line cannot either.
    """

    username: str
    password: str
    client_id: str
    client_secret: str
    login: str
    api_key: str
    api_reference: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, login={self.login!r}, secrets hidden)"


_DEMO = Credentials(
    username="api_cashpay.simulator",
    password="simulator-password-not-real",
    client_id="simulator-client",
    client_secret="simulator-secret-not-real",
    login="simulator.merchant",
    api_key="SIMULATOR-API-KEY-NOT-REAL-0123456789",
    api_reference="4207",
)

DEMO_CREDENTIALS: dict[str, str] = asdict(_DEMO)
"""What to log in with, usable as settings: `{"username": ..., "password": ..., "api_key": ...}`."""


def credentials_for(account: str, overrides: dict[str, str] | None = None) -> Credentials:
    """Return the credentials of an account of the simulator.

    The main account has `DEMO_CREDENTIALS`; every other account has the same values with its name
    behind them, so that a test can derive them without asking.

    Args:
        account: Name of the account.
        overrides: Values that replace the made-up ones, by field name.
    """
    made_up = _DEMO
    if account != MAIN_ACCOUNT:
        made_up = Credentials(**{name: f"{value}-{account}" for name, value in asdict(_DEMO).items()})
        number = 5000 + sum(account.encode()) % 1000
        made_up = replace(made_up, api_reference=str(number))
    return replace(made_up, **(overrides or {}))
