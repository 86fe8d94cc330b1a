"""The mapping against the header of a file: which position means what. A name that fits twice is asked for."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cashpay_pipeline.errors import OrdersError, SettingsError
from cashpay_pipeline.phones import hide_phones
from cashpay_pipeline.reconcile.mapping import NO_COLUMN, Mapping

ROLES = {
    "reference": "reference",
    "amount": "amount",
    "paid": "payment state",
    "date": "date",
    "currency": "currency",
}
"""What a column can be, and how that is called in messages."""
NAMES = {
    "reference": "reference ref commande numero_commande num_commande no_commande n_commande numero_de_commande "
    "reference_commande ref_commande id_commande order order_id order_number order_no order_ref order_reference "
    "merchant_reference",
    "amount": "montant amount total montant_total total_amount order_total order_amount montant_commande "
    "total_commande montant_ttc total_ttc prix_total total_price",
    "paid": "statut status paye payee paid is_paid est_paye etat statut_paiement statut_de_paiement etat_paiement "
    "payment_status financial_status statut_commande order_status",
    "date": "date date_commande date_de_commande date_de_la_commande order_date date_creation date_de_creation created "
    "created_at date_created ordered_at",
    "currency": "devise currency monnaie order_currency",
}
"""What a column may be called in French and English exports, without accents, capitals and signs."""

_NO_CELLS = frozenset(" ".join(NAMES.values()).split()) - {"paye", "payee", "paid"}
"""Names that tell a header from an order; what is taken away stands in orders as well."""
_NO_NAME = re.compile(r"[+-]?\d[\d\s.,:/+-]*|.*[{}\[\]<>\"@].*", re.DOTALL)
"""A number, a date, an address, a piece of JSON or HTML."""


@dataclass(frozen=True)
class Column:
    """A column of the source: its position, from 0, and its name."""

    position: int
    name: str


def plain_name(name: str) -> str:
    """A column's name as the lists above write it: `Référence commande` is `reference_commande`."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "_", letters.casefold()).strip("_")


def is_of_a_header(name: str) -> bool:
    """Whether a cell of the first line tells that this is a header, which a message may repeat."""
    return plain_name(name) in _NO_CELLS


def find_columns(
    header: Sequence[str], mapping: Mapping, where: str, *, of_text: bool
) -> tuple[dict[str, Column], list[str]]:
    """The column of each role, and what was assumed.

    Args:
        header: names of the columns.
        mapping: what was told about them.
        where: the place, for an error.
        of_text: the header is the first line of a text, which may be an order instead.

    Raises:
        OrdersError: a column is missing, or two would do.
        SettingsError: `only` is not of its form.
    """
    found: dict[str, Column] = {}
    has = _found(header, of_text=of_text)
    assumed = []
    for role, called in ROLES.items():
        told = getattr(mapping, role)
        if told == NO_COLUMN or (role == "paid" and mapping.all_paid):
            continue
        if told:
            found[role] = _named(header, told, where, has)
            continue
        fitting = [Column(i, name) for i, name in enumerate(header) if plain_name(name) in NAMES[role].split()]
        if len(fitting) > 1:
            raise OrdersError(
                f"Several columns could be the {called}: {_listed(c.name for c in fitting)}.",
                where=where,
                next_step=f"Choose one with --{role}.",
            )
        if fitting:
            found[role] = fitting[0]
            assumed.append(f"The {called} is in column “{fitting[0].name}”.")
    _require(found, mapping, where, has)
    if mapping.only:
        name, sign, _ = mapping.only.partition("=")
        if not sign:
            raise SettingsError(
                f"“{mapping.only}” is not of the form column=value.",
                where="--only",
                next_step='For example: --only "payment_method=cashpay".',
            )
        found["only"] = _named(header, name.strip(), where, has)
    return found, assumed


def _require(found: dict[str, Column], mapping: Mapping, where: str, has: str) -> None:
    missing = [role for role in ("reference", "amount") if role not in found]
    if missing:
        raise OrdersError(
            f"No column is recognised as the {' or the '.join(missing)}; {has}.",
            where=where,
            next_step="Name the columns: " + " ".join(f"--{role} COLUMN" for role in missing) + ".",
        )
    if "paid" not in found and not mapping.all_paid:
        raise OrdersError(
            f"No column tells whether an order is paid; {has}.",
            where=where,
            next_step="Name it with --paid COLUMN, or say --all-paid if every order in the file is.",
        )


def _named(header: Sequence[str], told: str, where: str, has: str) -> Column:
    exact = [Column(i, name) for i, name in enumerate(header) if name == told]
    fitting = exact or [Column(i, name) for i, name in enumerate(header) if plain_name(name) == plain_name(told)]
    if len(fitting) != 1:
        many = "There are several columns" if fitting else "There is no column"
        raise OrdersError(f"{many} “{told}”; {has}.", where=where)
    return fitting[0]


def _found(header: Sequence[str], *, of_text: bool) -> str:
    """What the file has, for a message. Without a header its first line is an order, perhaps with a customer in it."""
    if any(_NO_NAME.fullmatch(name) or hide_phones(name) != name for name in header):
        return "its first line has values and no names of columns"
    if of_text and not any(map(is_of_a_header, header)):
        return (
            f"none of the {len(header)} cells of its first line is a known name of a column: open the file to see them"
        )
    return f"the file has {_listed(header)}"


def _listed(names: Iterable[str]) -> str:
    shown = [f"“{name}”" for name in names]
    return ", ".join(shown[:40]) + (f" and {len(shown) - 40} more" if len(shown) > 40 else "")
