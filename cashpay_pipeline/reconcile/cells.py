"""What of a cell a message may repeat: in whatever column, it may be a customer's name or phone."""

import re
import unicodedata

from cashpay_pipeline.phones import hide_phones
from cashpay_pipeline.values import CURRENCY_DECIMALS

UNITS = {code: code for code in CURRENCY_DECIMALS} | {
    **dict.fromkeys(("F", "CFA", "FCFA", "XOFCFA", "FRANC", "FRANCS", "FRANCCFA", "FRANCSCFA"), "XOF"),
    **dict.fromkeys(("€", "EURO", "EUROS"), "EUR"),
}
"""How currencies are written. FCFA is XOF here; the FCFA of Central Africa must be written XAF."""

_PARTS = frozenset({*UNITS, "C", "A", "E", "T", "Z", "UTC"})
"""Letters of amounts and dates: of F.C.F.A, of 1,2E+05, of 2026-03-02T10:00Z."""


def quoted(cell: str, *, letters: int = 0) -> str:
    """A cell in quotation marks: with its phones hidden, and left out where it has words.

    Args:
        cell: as it is written.
        letters: how many letters it may have beside those of amounts and dates.
    """
    words = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKC", cell).upper())
    is_harmless = sum(len(word) for word in words if word not in _PARTS) <= letters
    return f"“{hide_phones(cell)}”" if is_harmless else "“…”"
