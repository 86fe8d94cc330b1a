"""What is known of every table before anything is opened: its comment and columns, and what its values are made from.

Only DuckDB and sqlglot can tell (`lineage.py`), and to load them takes longer than Dagster itself does. So `make docs`
writes what they tell into `sql/catalog.json`. While `sql/` says something else than it did then, it is not believed
but worked out anew: nothing shown is ever old, only slower.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cashpay_pipeline.sqlfiles import sql_folder

TableName = tuple[str, str]
"""Schema and table."""
Sources = Mapping[str, list[tuple[TableName, str]]]
"""For each column, the columns of other tables that its values are made from."""


@dataclass(frozen=True)
class Column:
    """A column as the database knows it."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Catalog:
    """What the SQL says.

    Attributes:
        tables: comment and columns of every table of `core` and `marts`.
        depends_on: the tables that a mart is made of, by the mart's name.
        sources: where the columns of a mart come from, by the mart's name.
    """

    tables: Mapping[TableName, tuple[str, list[Column]]]
    depends_on: Mapping[str, tuple[TableName, ...]]
    sources: Mapping[str, Sources]


@cache
def catalog() -> Catalog:
    """What the SQL beside the package says; read once a process."""
    stored = json.loads(catalog_path().read_text(encoding="utf-8")) if catalog_path().exists() else {}
    if stored.get("fingerprint") == _fingerprint():
        return _read(stored)
    # DuckDB and sqlglot: only for those who have just changed the SQL.
    from cashpay_pipeline.lineage import derive

    return derive()


def catalog_path() -> Path:
    """Where `make docs` writes it."""
    return sql_folder() / "catalog.json"


def catalog_text(known: Catalog) -> str:
    """The content of that file."""
    content = {
        "fingerprint": _fingerprint(),
        "tables": {
            _word(table): {"comment": comment, "columns": [astuple(column) for column in columns]}
            for table, (comment, columns) in sorted(known.tables.items())
        },
        "marts": {
            name: {
                "depends_on": [_word(table) for table in tables],
                "sources": {
                    column: [f"{_word(table)}.{source}" for table, source in sources]
                    for column, sources in known.sources[name].items()
                },
            }
            for name, tables in sorted(known.depends_on.items())
        },
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _read(stored: Mapping[str, Any]) -> Catalog:
    return Catalog(
        tables={
            _table(word): (table["comment"], [Column(*column) for column in table["columns"]])
            for word, table in stored["tables"].items()
        },
        depends_on={name: tuple(map(_table, mart["depends_on"])) for name, mart in stored["marts"].items()},
        sources={
            name: {
                column: [(_table(table), source) for table, _, source in (word.rpartition(".") for word in words)]
                for column, words in mart["sources"].items()
            }
            for name, mart in stored["marts"].items()
        },
    )


def _fingerprint() -> str:
    """A digest of the SQL that the catalog is made from."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in ("core", "marts") for path in (sql_folder() / folder).glob("*.sql")):
        digest.update(f"{path.name}\n{path.read_text(encoding='utf-8')}\n".encode())
    return digest.hexdigest()


def _word(table: TableName) -> str:
    return ".".join(table)


def _table(word: str) -> TableName:
    schema, _, table = word.partition(".")
    return schema, table
