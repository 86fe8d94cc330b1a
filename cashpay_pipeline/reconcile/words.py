"""What is paid, and in which currency. A word that is in no list stops the run: it is never guessed at."""

from cashpay_pipeline.reconcile.cells import UNITS, quoted
from cashpay_pipeline.reconcile.mapping import Mapping
from cashpay_pipeline.reconcile.sheet import Sheet
from cashpay_pipeline.terminal import many
from cashpay_pipeline.values import CURRENCY_DECIMALS

DEFAULT_CURRENCY = "XOF"
LETTERS_OF_A_WORD, LETTERS_OF_A_CURRENCY = 30, 3
"""A longer text is not repeated in a message."""

PAID = (
    *("paye", "payee", "payes", "payees", "regle", "reglee", "termine", "terminee", "oui", "o", "vrai"),
    *("paid", "completed", "complete", "wc completed", "yes", "y", "true", "1"),
)
UNPAID = (
    *("impaye", "impayee", "non paye", "non payee", "pas paye", "pas payee", "en attente", "en attente de paiement"),
    *("annule", "annulee", "echoue", "echouee", "expire", "expiree", "non", "faux"),
    *("unpaid", "not paid", "pending", "pending payment", "wc pending", "on hold", "wc on hold"),
    *("canceled", "cancelled", "wc cancelled", "failed", "wc failed", "expired", "no", "n", "false", "0"),
)
"""Words are compared without capitals, accents, hyphens and underscores."""


def read_words(sheet: Sheet, mapping: Mapping) -> list[tuple[str, bool]]:
    """What each word says, `True` for paid.

    Raises:
        OrdersError: some word of the column is in no list.
    """
    plain = {word: _plain(sheet, word) for word in (*mapping.paid_words, *mapping.unpaid_words)}
    meaning = dict.fromkeys(PAID, True) | dict.fromkeys(UNPAID, False)
    meaning |= {plain[word]: True for word in mapping.paid_words}
    meaning |= {plain[word]: False for word in mapping.unpaid_words}
    if "paid" in sheet.columns:
        found = sheet.scratch.rows(
            "select paid_word, count(*) as many, min(line) as line from cleaned "
            "where coalesce(paid_word, '') != '' group by paid_word order by line"
        )
        unknown = [row for row in found if row["paid_word"] not in meaning]
        if unknown:
            listed = ", ".join(
                f"{quoted(row['paid_word'], letters=LETTERS_OF_A_WORD)} ({many(row['many'], 'row')})"
                for row in unknown[:20]
            )
            sheet.stop(
                f"It is not known whether these words mean paid: {listed}"
                + (f" and {len(unknown) - 20:,} more." if len(unknown) > 20 else "."),
                unknown[0]["line"],
                "paid",
                "Say it with --paid-word WORD and --unpaid-word WORD; --save-mapping keeps it.",
            )
    return list(meaning.items())


def describe_words(sheet: Sheet) -> list[str]:
    """Which words of the column were taken for paid and which for not paid."""
    if "paid" not in sheet.columns:
        return ["Every order in the file is paid, as was said."]
    found = sheet.scratch.rows(
        "select is_paid, string_agg(distinct paid_word, ', ' order by paid_word) as words from read "
        "where is_paid is not null group by is_paid order by is_paid desc"
    )
    return [f"{'Paid' if row['is_paid'] else 'Not paid'} is: {row['words']}." for row in found]


def read_units(sheet: Sheet) -> list[tuple[str, str, int]]:
    """What each spelling of a currency is, with its decimals.

    Raises:
        OrdersError: a spelling is not known.
    """
    for role, column in (("currency", "currency_unit"), ("amount", "amount_unit")):
        if role in sheet.columns:
            for row in sheet.scratch.rows(
                f"select {column} as unit, min(line) as line from cleaned "  # noqa: S608 - one of two names
                f"where coalesce({column}, '') != '' group by {column} order by line"
            ):
                if row["unit"] not in UNITS:
                    sheet.stop(
                        f"{quoted(row['unit'], letters=LETTERS_OF_A_CURRENCY)} is not a currency that is known here.",
                        row["line"],
                        role,
                        f"Known are {', '.join(CURRENCY_DECIMALS)} and FCFA.",
                    )
    return [(unit, code, CURRENCY_DECIMALS[code]) for unit, code in UNITS.items()]


def describe_currencies(sheet: Sheet) -> list[str]:
    """What was taken for which currency, and a stop where column and unit contradict each other."""
    if odd := sheet.first("select line, amount_as_written, currency from priced where is_contradictory order by line"):
        sheet.stop(
            f"{quoted(odd['amount_as_written'])} is not in {odd['currency']}, the currency of the row.",
            odd["line"],
            "amount",
            "Correct the row and run again.",
        )
    said = []
    for row in sheet.scratch.rows(
        "select currency_from, currency, count(*) as many, string_agg(distinct amount_unit, ', ') as units "
        "from priced group by all order by many desc"
    ):
        if row["currency_from"] == "nothing":
            said.append(f"{many(row['many'], 'amount')} without a currency: taken as {DEFAULT_CURRENCY}, in francs.")
        elif row["currency_from"] == "amount":
            said.append(f"“{row['units']}” in {many(row['many'], 'amount')} is {row['currency']}.")
    return said


def _plain(sheet: Sheet, word: str) -> str:
    (row,) = sheet.scratch.rows("select plain_word(?) as plain", [word])
    return str(row["plain"])
