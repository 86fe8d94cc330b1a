"""Where the SQL lies: `sql/` beside the package in a checkout, `cashpay_pipeline/sql` in an installed wheel."""

from pathlib import Path


def sql_folder() -> Path:
    """The folder that holds `core/`, `marts/`, `checks/` and `queries/`."""
    package = Path(__file__).resolve().parent
    installed = package / "sql"
    return installed if installed.is_dir() else package.parent / "sql"
