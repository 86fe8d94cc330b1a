"""The `cashpay` command: thin.

Exit 0: all well. 1: incomplete, a red check, or stopped; what was read is kept. 2: settings or usage. Everything heavy
is imported inside the commands, so that `--help` is instant.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cashpay_pipeline.errors import CashpayError, QueryError, SettingsError
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.terminal import complain, progress_display, say, show_rows


class ReportLanguage(Enum):
    """What `cashpay report` can be written in."""

    en = "en"
    fr = "fr"


class _Commands(TyperGroup):
    """Prints our own errors as they are, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CashpayError as error:
            complain(error)
            raise typer.Exit(2 if isinstance(error, (SettingsError, QueryError)) else 1) from None


app = typer.Typer(
    cls=_Commands,
    help="CashPay bills in DuckDB: complete, exact, every morning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def check() -> None:
    """Can CashPay be reached, is the login good, does the list look as expected? Stores nothing."""
    from cashpay_pipeline.demo import DEMO_NOTICE, with_demo
    from cashpay_pipeline.diagnosis import diagnose

    settings = load_settings()
    if not settings.has_credentials:
        say(DEMO_NOTICE)
    all_well = True
    with with_demo(settings) as reachable:
        for finding in diagnose(reachable):
            say(f"{'ok     ' if finding.ok else 'PROBLEM'}  {finding.text}")
            all_well = all_well and finding.ok
    raise typer.Exit(0 if all_well else 1)


@app.command()
def sync(
    full: Annotated[bool, typer.Option("--full", help="Read the whole bill list, to its end.")] = False,
    recheck: Annotated[bool, typer.Option("--recheck", help="Read only the bills that can still be paid.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Look again at most at this many known bills.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Dagster's own log.")] = False,
) -> None:
    """Bring the database up to date, through Dagster, and say what is new."""
    if full and recheck:
        raise typer.BadParameter("--full and --recheck exclude each other")
    settings = load_settings()
    if settings.has_credentials:
        say(f"Reading {settings.environment}, account {settings.account}.")
    else:
        from cashpay_pipeline.demo import DEMO_NOTICE

        say(DEMO_NOTICE)
    with progress_display() as display:
        from cashpay_pipeline.defs.launch import run_job

        outcome = run_job(
            settings,
            "full_refresh" if full else "recheck" if recheck else "refresh",
            limit=limit,
            progress=display.update,
            log_level="DEBUG" if verbose else "CRITICAL",
        )
    from cashpay_pipeline.summary import sync_summary

    for failure in outcome.failures:
        complain(failure)
    for red in outcome.red_checks:
        complain(f"Red check: {red}")
    if settings.published_path.exists():
        for line in sync_summary(settings):
            say(line)
    if not outcome.is_good:
        complain(f"Not all is well: see above, or run {outcome.run_id} in the interface (make ui).")
        raise typer.Exit(1)


@app.command()
def status() -> None:
    """How fresh and complete the data is."""
    from cashpay_pipeline.summary import status_report

    for line in status_report(load_settings()):
        say(line)


@app.command()
def publish() -> None:
    """Replace the published copy by the working file as it is now."""
    from cashpay_pipeline.warehouse import publish as publish_copy

    copy = publish_copy(load_settings(), owner="cashpay publish")
    say(f"Published {copy.path} ({copy.bytes // 1000:,} kB).")


@app.command()
def rebuild() -> None:
    """Make all tables again from the payloads that are stored, without asking CashPay."""
    from cashpay_pipeline.sync.rebuild import rebuild as rebuild_tables

    count = rebuild_tables(load_settings(), report=lambda done: say(f"{done:,} versions read"))
    say(f"Rebuilt from {count:,} versions. Next: cashpay sync, or cashpay publish.")


@app.command()
def forget(phone: Annotated[str, typer.Argument(help="For example: +22890000000")]) -> None:
    """Remove a customer for good, here and from every later reading; amounts stay."""
    from cashpay_pipeline.forget import forget as forget_customer
    from cashpay_pipeline.warehouse import publish as publish_copy

    settings = load_settings()
    forgotten = forget_customer(settings, phone)
    publish_copy(settings, owner="cashpay forget")
    say(f"The customer is gone from {forgotten.bills:,} bills; their amounts stay.")
    for file in forgotten.older_files:
        say(f"This copy of before may still hold the customer: {file}")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="For example: select state, count(*) from core.bills group by all")],
) -> None:
    """Ask the published copy; nothing can be changed there."""
    from cashpay_pipeline.warehouse import read_published

    show_rows(*read_published(load_settings(), query))


@app.command()
def report(
    to: Annotated[Path | None, typer.Option(help="The file; usually report.html, beside the database.")] = None,
    language: Annotated[ReportLanguage, typer.Option(help="Of the report.")] = ReportLanguage.en,
) -> None:
    """Make a report to look at, print or send: one HTML file that needs no network."""
    from cashpay_pipeline.report.page import write_report

    settings = load_settings()
    target = to or settings.data_folder / "report.html"
    write_report(settings, target, language.value)
    say(f"The report: {target}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def simulator(context: typer.Context) -> None:
    """Run a CashPay of your own on this machine; `cashpay simulator --help` lists its options."""
    from cashpay_pipeline.simulator.server import main

    raise typer.Exit(main(context.args))
