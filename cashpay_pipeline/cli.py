"""The `cashpay` command: thin.

Exit 0: all well. 1: incomplete, a red check, or stopped; what was read is kept. 2: settings or usage, such
as an export of the shop that is not there. Everything heavy is imported inside the commands, so that `--help` is
instant.
"""

import sys
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cashpay_pipeline.errors import CashpayError, QueryError, SettingsError, WarehouseError
from cashpay_pipeline.settings import Settings, load_settings
from cashpay_pipeline.terminal import (
    complain,
    is_all_said,
    many,
    printable,
    progress_bar,
    progress_display,
    say,
    show_amounts,
    show_rows,
    warnings_shown,
)

UNKNOWN = "No bill of this number is known: check it."


class ReportLanguage(Enum):
    """What `cashpay report` can be written in."""

    en = "en"
    fr = "fr"


def _refuse_undecoded(arguments: Sequence[str]) -> None:
    """Refuse what Python could not decode: no database takes it, and no terminal shows it.

    Raises:
        SettingsError: an argument is not UTF-8.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise SettingsError(
                f"An argument is not UTF-8: {printable(argument)[:100]}",
                next_step="Save the query as UTF-8, or rename the file, then run again.",
            ) from None


class _Commands(TyperGroup):
    """Prints our own errors as they are, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            _refuse_undecoded(ctx.args)
            with warnings_shown():
                return super().invoke(ctx)
        except CashpayError as error:
            complain(error)
            raise typer.Exit(2 if isinstance(error, (SettingsError, QueryError)) else 1) from None
        except KeyboardInterrupt:
            complain("Interrupted. Nothing that was stored is lost.")
            raise typer.Exit(130) from None
        finally:
            if not is_all_said():
                raise typer.Exit(1)


app = typer.Typer(
    cls=_Commands,
    help="CashPay bills in DuckDB: complete, exact, every morning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"cashpay_pipeline {version('cashpay_pipeline')}")
        raise typer.Exit()


@app.callback()
def _cashpay(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None: ...


@app.command()
def check(
    alert: Annotated[bool, typer.Option("--alert", help="Send a trial alert first, by every way that is set.")] = False,
) -> None:
    """Can CashPay be reached, is the login good, does the list look as expected? Stores nothing."""
    from cashpay_pipeline.demo import DEMO_NOTICE, with_demo
    from cashpay_pipeline.diagnosis import diagnose, trial_alert

    settings = load_settings()
    if not settings.has_credentials:
        say(DEMO_NOTICE)
    all_well = True
    with with_demo(settings) as reachable:
        findings = diagnose(reachable, on_wait=lambda seconds, reason: complain(f"Waiting {seconds:.0f} s: {reason}"))
        for finding in chain([trial_alert(settings)] if alert else [], findings):
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
    if full and limit:
        raise typer.BadParameter("--limit is for bills that are looked at again; --full reads the whole list")
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
    for yellow in outcome.yellow_checks:
        complain(f"Yellow check: {yellow}")
    for line in sync_summary(settings, outcome.run_id):
        say(line)
    if not outcome.is_good:
        complain(f"Not all is well: see above, or run {outcome.run_id} in Dagster's interface.")
        raise typer.Exit(128 + outcome.signal if outcome.signal else 1)


@app.command()
def status() -> None:
    """How fresh and complete the data is."""
    from cashpay_pipeline.summary import report_status

    if not report_status(load_settings(), say):
        raise typer.Exit(1)


@app.command()
def publish() -> None:
    """Replace the published copy by the working file as it is now."""
    from cashpay_pipeline.warehouse import publish as publish_copy

    copy = publish_copy(load_settings(), owner="cashpay publish")
    say(f"Published {copy.path} ({copy.bytes // 1000:,} kB).")


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="A database file; the published copy if none is named.")] = None,
) -> None:
    """Read every value of every column, to be sure that the file is whole."""
    from cashpay_pipeline.warehouse.backup import verify as read_whole

    tables = read_whole(file or load_settings().published_path)
    for table in tables:
        say(f"{'DAMAGED' if table.problem else 'ok     '}  {table.name}: {table.problem or many(table.rows, 'row')}")
    raise typer.Exit(1 if any(table.problem for table in tables) else 0)


@app.command()
def backup(
    to: Annotated[
        Path | None, typer.Option(help="Folder for backups; `backups` in the data folder if not named.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest are kept there.")] = 2,
) -> None:
    """Copy the working file, and the key of customers, and read the copy whole."""
    from cashpay_pipeline.warehouse.backup import backup as make_backup

    say(f"Backup, read whole: {make_backup(load_settings(), folder=to, keep=keep)}")


@app.command()
def restore(
    source: Annotated[Path | None, typer.Argument(help="Folder of a backup; the newest one if none is named.")] = None,
) -> None:
    """Put a backup in place of the working file, which is kept, and publish it."""
    from cashpay_pipeline.warehouse import publish as publish_copy
    from cashpay_pipeline.warehouse.backup import DATABASE
    from cashpay_pipeline.warehouse.backup import restore as put_back

    settings = load_settings()
    used, former = put_back(settings, source)
    say(f"Restored {used}." + (f" What was there before is in {former}." if former else ""))
    if former and (former / DATABASE).exists():
        _forget_again(settings, former / DATABASE)
    publish_copy(settings, owner="cashpay restore")
    say("Published. Next: cashpay sync, which reads what has happened since.")


def _forget_again(settings: Settings, former: Path) -> None:
    from cashpay_pipeline.forget import forget_again

    try:
        count = forget_again(settings, former)
    except WarehouseError:  # it may be damaged, which is why a backup is put back
        say("Who was forgotten since that backup cannot be told: `cashpay forget` them once more.")
    else:
        if count:
            say(f"{many(count, 'customer')} forgotten since that backup: forgotten in it as well.")


@app.command()
def rebuild() -> None:
    """Make all tables again from the payloads that are stored, without asking CashPay."""
    from cashpay_pipeline.sync.rebuild import rebuild as rebuild_tables

    count = rebuild_tables(load_settings(), report=lambda done: say(f"{many(done, 'version')} read"))
    say(f"Rebuilt from {many(count, 'version')}. Next: cashpay sync, or cashpay publish.")


@app.command()
def forget(
    phone: Annotated[str, typer.Argument(help="For example: +22890000000")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
) -> None:
    """Remove a customer for good, here and from every later reading; amounts stay."""
    from cashpay_pipeline.forget import bills_of
    from cashpay_pipeline.forget import forget as forget_customer
    from cashpay_pipeline.warehouse import publish as publish_copy

    settings = load_settings()
    if sys.stdin.isatty() and not yes:  # a script has nobody to ask
        known = bills_of(settings, phone)
        question = f"Remove the customer from {many(known, 'bill')} for good?" if known else f"{UNKNOWN} Go on?"
        if not typer.confirm(question):
            say("Nothing was changed.")
            raise typer.Exit(1)
    forgotten = forget_customer(settings, phone)
    publish_copy(settings, owner="cashpay forget")
    if forgotten.bills:
        say(f"The customer is gone from {many(forgotten.bills, 'bill')}; the amounts stay.")
    else:
        say(f"{UNKNOWN} It is remembered all the same, and every later reading leaves it out.")
    for file in forgotten.older_files:
        say(f"This copy of before may still hold the customer: {file}")


@app.command(context_settings={"ignore_unknown_options": True})  # a query may begin with a comment: --
def sql(
    query: Annotated[str, typer.Argument(help="For example: select state, count(*) from core.bills group by all")],
) -> None:
    """Ask the published copy; nothing can be changed there."""
    from cashpay_pipeline.warehouse import stream_published

    with stream_published(load_settings(), query, schemas="core,marts") as (columns, rows):
        show_rows(columns, rows)


@app.command()
def reconcile(
    orders: Annotated[str, typer.Argument(help="CSV, Parquet, DuckDB or SQLite file, or postgres:...")],
    mapping: Annotated[Path | None, typer.Option(help="Take what follows from this file; options win.")] = None,
    save_mapping: Annotated[Path | None, typer.Option(help="Write what was said into this .toml file.")] = None,
    reference: Annotated[str | None, typer.Option(help="Column of the shop's order reference.")] = None,
    amount: Annotated[str | None, typer.Option(help="Column of the amount.")] = None,
    paid: Annotated[str | None, typer.Option(help="Column that tells whether the order is paid.")] = None,
    date: Annotated[str | None, typer.Option(help="Column of the order's date, or none.")] = None,
    currency: Annotated[str | None, typer.Option(help="Column of the currency, or none.")] = None,
    table: Annotated[str | None, typer.Option(help="In a database: the table of the orders.")] = None,
    query: Annotated[str | None, typer.Option(help="In a database: a SELECT of the orders.")] = None,
    key: Annotated[str | None, typer.Option(help="merchant_reference (usual) or order_reference of the bill.")] = None,
    loose: Annotated[
        bool | None,
        typer.Option("--loose", help="Capitals, blanks, #, leading zeros and .0 of references do not count."),
    ] = None,
    all_paid: Annotated[bool | None, typer.Option("--all-paid", help="Every order in the file is paid.")] = None,
    paid_word: Annotated[list[str] | None, typer.Option(help="A further word that means paid.")] = None,
    unpaid_word: Annotated[list[str] | None, typer.Option(help="A further word that means not paid.")] = None,
    decimal_mark: Annotated[str | None, typer.Option(help="Of amounts: comma, point or none.")] = None,
    date_order: Annotated[str | None, typer.Option(help="Of dates such as 02/03/2026: day or month first.")] = None,
    repeated: Annotated[str | None, typer.Option(help="Rows of one reference: stop, total, parts or last.")] = None,
    only: Annotated[str | None, typer.Option(help="Count only rows with COLUMN=VALUE, e.g. a way of paying.")] = None,
    skip_without_reference: Annotated[
        bool | None, typer.Option("--skip-without-reference", help="Leave out rows without a reference.")
    ] = None,
    first_day: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    last_day: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")] = None,
    details: Annotated[Path | None, typer.Option(help="The .csv file for all that is found.")] = None,
) -> None:
    """Compare the shop's orders with CashPay's bills, to the franc."""
    from cashpay_pipeline import reconcile as compare

    if first_day and last_day and first_day > last_day:
        raise typer.BadParameter("the day of --from is after the day of --to")
    settings = load_settings()
    meaning = compare.load_mapping(
        mapping,
        reference=reference,
        amount=amount,
        paid=paid,
        date=date,
        currency=currency,
        table=table,
        query=query,
        key=key,
        loose=loose,
        all_paid=all_paid,
        paid_words=paid_word or None,
        unpaid_words=unpaid_word or None,
        decimal_mark=decimal_mark,
        date_order=date_order,
        repeated=repeated,
        only=only,
        skip_without_reference=skip_without_reference,
    )
    if save_mapping:
        compare.refuse_other_mapping(save_mapping)  # before anything is stored
    found = compare.reconcile(
        settings,
        orders,
        meaning,
        first_day=first_day.date() if first_day else None,
        last_day=last_day.date() if last_day else None,
        details=details or compare.details_path(settings),
    )
    if save_mapping:
        compare.save_mapping(meaning, save_mapping)
    say(f"{many(found.orders, 'order')} of {found.source} against the bills of account {settings.account}:")
    show_amounts(compare.COLUMNS, compare.result_table(found), texts=2)
    for line in compare.result_lines(found):
        say(line)


@app.command()
def export(
    table: Annotated[str, typer.Argument(help="For example: core.bills, or daily_collections")],
    form: Annotated[
        str, typer.Option("--format", help="parquet (a file a month), csv (French Excel) or excel.")
    ] = "parquet",
    to: Annotated[Path | None, typer.Option(help="The folder; usually exports, beside the database.")] = None,
) -> None:
    """Write a table of the published copy as files for other programs."""
    from cashpay_pipeline.export import export_table

    settings = load_settings()
    with progress_bar(f"Exporting {table}") as advance:
        written = export_table(settings, table, form, to or settings.data_folder / "exports", advance)
    for note in written.notes:
        say(f"Note: {note}")
    say(f"{many(written.rows, 'row')} written:")
    for path in written.paths:
        say(f"  {path}")


@app.command()
def report(
    to: Annotated[
        Path | None,
        typer.Option(
            help="The .html file; usually report.html, in French rapport.html, beside the database; "
            "report-ACCOUNT.html where several accounts share the data folder."
        ),
    ] = None,
    language: Annotated[ReportLanguage, typer.Option(help="Of the report.")] = ReportLanguage.en,
) -> None:
    """Make a report to look at, print or send: one HTML file that needs no network."""
    from cashpay_pipeline.report.page import report_path, write_report

    settings = load_settings()
    target = to or report_path(settings, language.value)
    write_report(settings, target, language.value)
    say(f"The report: {target}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def simulator(context: typer.Context) -> None:
    """Run a CashPay of your own on this machine; `cashpay simulator --help` lists its options."""
    from cashpay_pipeline.simulator.server import main

    raise typer.Exit(main(context.args))
