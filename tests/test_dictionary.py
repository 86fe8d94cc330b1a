"""Every table and column has its text in both languages; docs/ and the catalog are what the database says."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cashpay_pipeline import catalog, lineage, marts
from cashpay_pipeline.catalog import TableName
from cashpay_pipeline.dictionary import FILES, TableText, english_texts, french_texts, pages, write_pages
from cashpay_pipeline.sqlfiles import sql_folder

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("texts_of", [english_texts, french_texts])
def test_every_table_and_column_has_a_text(texts_of: Callable[[], dict[TableName, TableText]]) -> None:
    texts = texts_of()
    assert not [table for table, (description, _) in texts.items() if not description]
    assert not [(table, name) for table, (_, columns) in texts.items() for name, text in columns.items() if not text]


def test_the_french_texts_are_of_the_tables_and_columns_that_there_are() -> None:
    of_english, of_french = (
        {table: set(columns) for table, (_, columns) in texts.items()} for texts in (english_texts(), french_texts())
    )
    assert of_french == of_english, "mend sql/comments.fr.toml, then run `make docs`"


def test_no_french_text_is_the_english_one() -> None:
    english = english_texts()
    same = [
        (table, name)
        for table, (_, columns) in french_texts().items()
        for name, text in columns.items()
        if text == english[table][1][name]
    ]
    assert not same


def test_french_names_the_same_states_kinds_and_columns() -> None:
    """A column's name with an underscore is the same word in every language: none may be lost or misspelt."""
    french = french_texts()
    names = {name for _, columns in english_texts().values() for name in columns if "_" in name}
    differing = {
        (table, column): words ^ _names(french[table][1][column], names)
        for table, (_, columns) in english_texts().items()
        for column, text in columns.items()
        if (words := _names(text, names)) != _names(french[table][1][column], names)
    }
    assert not differing


def _names(text: str, known: set[str]) -> set[str]:
    return {word.strip(".,;:()") for word in text.split()} & known


@pytest.mark.parametrize("name", FILES.values())
def test_docs_are_what_the_database_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"


def test_the_catalog_is_what_the_database_says() -> None:
    derived = lineage.derive()
    assert catalog.catalog_path().read_text(encoding="utf-8") == catalog.catalog_text(derived), "run `make docs`"
    assert catalog.catalog() == derived


def test_a_catalog_of_other_sql_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "sql"
    shutil.copytree(sql_folder(), changed)
    (changed / "marts" / "new_one.sql").write_text(
        "-- A new one.\n-- grain: one row per bill\n--\n"
        "-- key: Its key.\nselect order_reference as key from core.bills\n"
    )
    for module in (catalog, lineage, marts):
        monkeypatch.setattr(module, "sql_folder", lambda: changed)
    known = catalog.catalog.__wrapped__()
    assert known.tables["marts", "new_one"] == (
        "A new one.\n\nGrain: one row per bill.",
        [catalog.Column("key", "VARCHAR", "Its key.")],
    )
    assert known.depends_on["new_one"] == (("core", "bills"),)
    assert known.sources["new_one"] == {"key": [(("core", "bills"), "order_reference")]}


def test_a_page_has_each_table_with_its_columns(tmp_path: Path) -> None:
    write_pages(tmp_path)
    english, french = ((tmp_path / name).read_text(encoding="utf-8") for name in FILES.values())
    for text in (english, french):
        assert text.count("\n## ") == len(english_texts())
        assert text.count("\n| `") == sum(len(columns) for _, columns in english_texts().values())
    assert (
        "## core.payments\n\nPayments that CashPay lists for a bill, one row each.\n\n"
        "| Column | Type | |\n|---|---|---|\n"
        "| `account` | varchar | Label of the merchant account. |\n" in english
    )
    assert "| `observed_at` | timestamptz | Première lecture de ce contenu, UTC. |\n" in french
