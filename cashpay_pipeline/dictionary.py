"""The data dictionary in docs/, in English and French, from the comments that the database itself has; and the catalog.

    python -m cashpay_pipeline.dictionary

The English texts are the comments in `sql/`; the French ones are in `sql/comments.fr.toml`, table by table.
`sql/catalog.json` is what `catalog.py` reads.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from cashpay_pipeline.catalog import TableName, catalog, catalog_path, catalog_text
from cashpay_pipeline.lineage import derive
from cashpay_pipeline.sqlfiles import sql_folder

TableText = tuple[str, dict[str, str]]
"""What a table is, and each of its columns."""

FILES = {"en": "data-dictionary.md", "fr": "data-dictionary.fr.md"}

_OPENING = {
    "en": """# Data dictionary

[En français](data-dictionary.fr.md)

Made by `make docs` from the comments in the database, which are the same text: `select * from duckdb_columns()`.
Amounts are whole numbers of the currency's smallest unit, which for XOF is the franc. Times are UTC, days are those of
Africa/Lome.
""",
    "fr": """# Dictionnaire des données

[In English](data-dictionary.md)

Fait par `make docs` à partir des commentaires de la base et de `sql/comments.fr.toml`. Les montants sont des nombres
entiers de la plus petite unité de la devise, qui pour le XOF est le franc. Les heures sont en UTC, les jours sont ceux
d'Africa/Lome.
""",
}
_HEADER = {"en": "| Column | Type | |", "fr": "| Colonne | Type | |"}


def english_texts() -> dict[TableName, TableText]:
    """The comments of every table and column."""
    return {
        table: (comment, {column.name: column.comment for column in columns})
        for table, (comment, columns) in catalog().tables.items()
    }


def french_texts() -> dict[TableName, TableText]:
    """What `sql/comments.fr.toml` says."""
    schemas = tomllib.loads((sql_folder() / "comments.fr.toml").read_text(encoding="utf-8"))
    return {
        (schema, table): (text.get("description", ""), text.get("columns", {}))
        for schema, tables in schemas.items()
        for table, text in tables.items()
    }


def pages() -> dict[str, str]:
    """The text of each file of the dictionary, by its name."""
    return {
        FILES[language]: "".join(_page(language, texts))
        for language, texts in {"en": english_texts(), "fr": french_texts()}.items()
    }


def write_pages(folder: Path) -> None:
    """Write the dictionary into a folder."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def _page(language: str, texts: dict[TableName, TableText]) -> Iterator[str]:
    yield _OPENING[language]
    for table, (_, columns) in sorted(catalog().tables.items()):
        description, translated = texts[table]
        yield f"\n## {'.'.join(table)}\n\n{description}\n\n{_HEADER[language]}\n|---|---|---|\n"
        for column in columns:
            yield f"| `{column.name}` | {_type(column.type)} | {_cell(translated[column.name])} |\n"


def _type(name: str) -> str:
    return name.lower().replace("timestamp with time zone", "timestamptz")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    catalog_path().write_text(catalog_text(derive()), encoding="utf-8")
    write_pages(sql_folder().parent / "docs")
