"""docs/failure-cases.md names every row once, and only tests that exist."""

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LIST = PROJECT.parent / "shared" / "failure-cases.md"
ROW = re.compile(r"^\| ([NHAPYDTMCRFSX][0-9]+) \|(.*)\|$", re.MULTILINE)


def rows(text: str) -> list[tuple[str, str]]:
    """Row and its last cell."""
    return [(row, cells.rsplit(" | ", 1)[-1].strip()) for row, cells in ROW.findall(text)]


DOCUMENTED = rows((PROJECT / "docs" / "failure-cases.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tests() -> set[str]:
    files = (PROJECT / "tests").rglob("test_*.py")
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_names_tests_that_exist_or_says_why_there_is_none(tests: set[str]) -> None:
    assert len(DOCUMENTED) == len({row for row, _ in DOCUMENTED})
    for row, cell in DOCUMENTED:
        named = re.findall(r"`(test_\w+)`", cell)
        assert named or cell.startswith("No test: "), row
        assert not set(named) - tests, row


def test_a_test_that_bears_a_rows_name_bears_one_that_is_listed(tests: set[str]) -> None:
    named = {row for test in tests for row in re.findall(r"([NHAPYDTMCRFSX][0-9]+)_", test.partition("_")[2])}
    assert not named - {row for row, _ in DOCUMENTED}


@pytest.mark.skipif(not LIST.exists(), reason="the list of failure cases is not part of this repository")
def test_every_row_of_the_list_is_there() -> None:
    wanted = [row for row, _ in ROW.findall(LIST.read_text(encoding="utf-8"))]
    assert [row for row, _ in DOCUMENTED] == wanted
