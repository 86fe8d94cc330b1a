"""Where the files beside the package lie, in a checkout and in an installed wheel; SQL read from them, and quoted."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """A top-level folder of the project; a wheel carries it inside the package."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def sql_folder() -> Path:
    """The folder that holds `core/`, `marts/`, `checks/`, `reconciliation/` and `queries/`."""
    return shipped_folder("sql")


def read_sql(path: Path) -> tuple[str, str]:
    """The comment that opens a SQL file, without its dashes, and the statement below it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    length = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header = "\n".join(line.removeprefix("--").removeprefix(" ") for line in lines[:length])
    return header, "\n".join(lines[length:]).strip()


def literal(text: str) -> str:
    """A text as SQL, for statements that take no parameter: ATTACH, COMMENT."""
    return "'" + text.replace("'", "''") + "'"
