"""With no credentials there is still something to see: a simulated CashPay whose made-up shop goes on from run to run.

Its state lies beside its data, in a folder of its own, so that made-up and real figures cannot mix.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from cashpay_pipeline.errors import SettingsError
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.simulator.credentials import DEMO_CREDENTIALS
from cashpay_pipeline.simulator.process import SimulatorProcess

DEMO_NOTICE = (
    "No CashPay credentials are set: reading a simulated CashPay on this machine. Everything in it is made up. "
    "For real bills, copy .env.example to .env and fill it in."
)
DEMO_DAYS = 30
DEMO_BILLS_PER_DAY = 100
DEMO_REQUESTS_PER_SECOND = 200.0
"""The simulator serves nobody else and need not be spared."""


@contextmanager
def with_demo(settings: Settings) -> Iterator[Settings]:
    """Settings to read with: the same where they have credentials, else those of a simulator that runs meanwhile.

    The shop's clock is the real one: bills that were made, paid or expired since the last run are there in the next.

    Raises:
        SettingsError: the simulator cannot keep its state in the folder, or does not start for another reason.
    """
    if settings.has_credentials:
        yield settings
        return
    try:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The folder for made-up data cannot be made: {error.strerror}.",
            where=str(settings.data_folder.absolute()),
            next_step="Set CASHPAY_DATA_DIR to a folder that this user can write, or run in another folder.",
        ) from None
    described = SimulatorProcess(
        days=DEMO_DAYS, bills_per_day=DEMO_BILLS_PER_DAY, state=settings.data_folder / "simulator.json"
    )
    with ExitStack() as stack:
        try:
            simulator = stack.enter_context(described)
        except RuntimeError:
            raise SettingsError(
                "The simulated CashPay did not start.",
                where=str(settings.data_folder.absolute()),
                next_step="Correct what it says above, or set CASHPAY_DATA_DIR to a folder that this user can write.",
            ) from None
        yield load_settings(
            **settings.model_dump()
            | DEMO_CREDENTIALS
            | {
                "base_url": simulator.base_url,
                "auth": "oauth2",
                "data_dir": settings.data_folder,
                "requests_per_second": DEMO_REQUESTS_PER_SECOND,
            }
        )
