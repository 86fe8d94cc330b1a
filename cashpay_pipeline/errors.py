"""Every way to stop, named for what to do next.

CashpayError
    SettingsError             settings are missing or contradict each other: correct them (exit 2)
    CredentialsRejectedError  CashPay does not accept the login: check or renew it
    AccessDeniedError         the login is valid but this is not allowed, or the address is wrong
    WrongAddressError         nothing of CashPay's answers there: check CASHPAY_BASE_URL
    RequestRefusedError       CashPay refuses this request as it stands; asking again is useless
    BillNotFoundError         one bill is not there
    UnavailableError          CashPay or the line is down: run again later
    RateLimitedError          CashPay asks for a longer pause than a run may wait: run again at that time
    UnexpectedReplyError      the answer cannot be understood: nothing of it was stored
    ReplyTooLargeError        an answer is over the size limits: ask for less
    PagingError               the list cannot be walked to its end
    GuardError                going on would damage or mix what is stored
    TooManyBadRowsError       more rows are bad than chance explains
    WarehouseBusyError        another run is writing
    WarehouseError            the database file cannot be used
        WarehouseLockError    whether another run is writing cannot be known
    QueryError                an analyst's SQL is wrong
    OrdersError               the shop's export of orders cannot be read, or can be read in two ways
    ExportError               a file for other programs cannot be written
    AlertError                nobody could be told

No error carries a request, a header, a body or a credential: its text may be shown anywhere.
"""

from datetime import datetime


class CashpayError(Exception):
    """Base of all that we raise on purpose; catch it to turn a failure into a message.

    Args:
        message: what happened, in one sentence.
        where: account, path, page or file that it happened at.
        kept: what is still there.
        next_step: what the reader should do now.
    """

    code = "error"
    default_next_step = "Run the same command again; if it stays, report it with this text."
    default_kept = "Everything stored before is unchanged."

    def __init__(self, message: str, *, where: str = "", kept: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.kept = kept or self.default_kept
        self.next_step = next_step or self.default_next_step

    def __str__(self) -> str:
        lines = [f"{self.message} [{self.code}]"]
        if self.where:
            lines.append(f"Where: {self.where}")
        if self.kept:
            lines.append(f"Kept: {self.kept}")
        lines.append(f"Next: {self.next_step}")
        return "\n".join(lines)


class SettingsError(CashpayError):
    """Settings are missing or contradict each other. The message names variables, never their values."""

    code = "settings"
    default_next_step = "Set the variables in the environment or in .env (see .env.example), then run again."


class CredentialsRejectedError(CashpayError):
    """CashPay does not accept the login (H6, A5)."""

    code = "credentials_rejected"
    default_next_step = (
        "Check the credentials with `cashpay check`; renew them at CashPay if they were rotated. "
        "Do not retry blindly: repeated refusals can lock an account."
    )


class AccessDeniedError(CashpayError):
    """A valid login is not allowed to do this, or the path or stage does not exist (H7)."""

    code = "access_denied"
    default_next_step = (
        "Check CASHPAY_BASE_URL (stage and path) first, then ask CashPay whether this login may list bills."
    )


class WrongAddressError(CashpayError):
    """What answers at the address is not CashPay's API (H8, H10, N6)."""

    code = "wrong_address"
    default_next_step = "Check CASHPAY_BASE_URL, for example https://sandbox.semoa-payments.com/api."


class RequestRefusedError(CashpayError):
    """CashPay refuses this request as it stands (400, 413, 415, 422 and other 4xx)."""

    code = "request_refused"

    def __init__(self, message: str, *, status: int, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.status = status


class BillNotFoundError(CashpayError):
    """A bill's details answer 404 or 410 (H9)."""

    code = "bill_not_found"


class UnavailableError(CashpayError):
    """CashPay, or the line to it, stays down after all retries (N1-N5, N9, H16, H17)."""

    code = "unavailable"
    default_next_step = "Run the same command again later; it goes on from what is stored."

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RateLimitedError(CashpayError):
    """CashPay asks for a longer pause than a run may wait (H14, H15)."""

    code = "rate_limited"

    def __init__(self, message: str, *, resume_at: datetime | None) -> None:
        when = f"after {resume_at:%Y-%m-%d %H:%M:%S} UTC" if resume_at else "in an hour"
        super().__init__(message, next_step=f"Run the same command again {when}.")
        self.resume_at = resume_at


class UnexpectedReplyError(CashpayError):
    """An answer that cannot be understood; an unknown shape is never zero bills (H1, H2, N9, Y15)."""

    code = "unexpected_reply"
    default_next_step = "Run `cashpay check` to see what answers; report the shape shown if CashPay changed it."


class ReplyTooLargeError(CashpayError):
    """An answer is over the size limits (P16, X6)."""

    code = "reply_too_large"
    default_next_step = "Set a smaller CASHPAY_PAGE_SIZE and run again."


class PagingError(CashpayError):
    """The list cannot be walked to its end (P7, P8)."""

    code = "paging"
    default_next_step = (
        "Run `cashpay check`, then compare CASHPAY_PAGE_PARAM, CASHPAY_SIZE_PARAM and CASHPAY_FIRST_PAGE "
        "with CashPay's documentation."
    )


class GuardError(CashpayError):
    """Going on would damage, shrink or mix what is stored."""

    code = "guard"


class TooManyBadRowsError(CashpayError):
    """More rows are bad than chance explains (Y17)."""

    code = "too_many_bad_rows"
    default_next_step = (
        "Look at core.data_issues, then report the field that changed. The rows are kept there and are read again."
    )


class WarehouseBusyError(CashpayError):
    """Another run is writing (C2); it stepped aside, nothing is wrong with the data."""

    code = "busy"
    default_next_step = "Wait until the run named above has ended, then run again."


class WarehouseError(CashpayError):
    """The database file cannot be opened or written (F1-F6, D8)."""

    code = "warehouse"


class WarehouseLockError(WarehouseError):
    """The lock cannot be opened, so whether another run is writing cannot be known (F6)."""


class QueryError(CashpayError):
    """An analyst's SQL is wrong."""

    code = "query"
    default_kept = ""  # a question changes nothing
    default_next_step = (
        "Correct the query; all tables: "
        '`cashpay sql "select table_schema, table_name from information_schema.tables order by all"`, '
        'columns of one: `cashpay sql "describe core.bills"`.'
    )


class AlertError(CashpayError):
    """Nobody could be told: every channel refused the message."""

    code = "alert"
    default_next_step = (
        "Correct the settings CASHPAY_ALERT_..., or the server they name; it is tried again every minute."
    )


class OrdersError(CashpayError):
    """The shop's export of orders cannot be read, or can be read in two ways; nothing is guessed."""

    code = "orders"
    default_next_step = "Correct the export and run again; `cashpay reconcile --help` lists what can be said about it."


class ExportError(CashpayError):
    """A file for other programs cannot be written (F4)."""

    code = "export"


def next_step_of(code: str | None) -> str:
    """What to do about a sync that was stopped by this; what has no name of ours may be over by now."""
    kinds = {kind.code: kind for kind in CashpayError.__subclasses__()}
    return kinds.get(code or "", UnavailableError).default_next_step.replace("the same command", "`cashpay sync`")
