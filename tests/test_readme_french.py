"""README.fr.md says what README.md says: the same headings, tables, names, code and links, in the same order."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
ENGLISH = (PROJECT / "README.md").read_text(encoding="utf-8")
FRENCH = (PROJECT / "README.fr.md").read_text(encoding="utf-8")


def headings(text: str) -> list[str]:
    return re.findall(r"^#+(?= )", text, flags=re.MULTILINE)


def table_rows(text: str) -> list[str]:
    """The first cell and the number of cells of each row."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [f"{row.split('|')[1].strip() if '`' in row.split('|')[1] else ''} {row.count('|')}" for row in rows]


def code_blocks(text: str) -> list[int]:
    """The lines of each indented block."""
    return [len(block.splitlines()) for block in re.findall(r"(?:^    .*\n)+", text, flags=re.MULTILINE)]


def commands(text: str) -> list[str]:
    """What a reader copies: indented lines, without what is said beside them. The drawing at the top is translated."""
    lines = re.findall(r"^    (.*)$", text.partition("\n## ")[2], flags=re.MULTILINE)
    return [line.partition("  #")[0].rstrip() for line in lines]


def list_items(text: str) -> int:
    return len(re.findall(r"^- ", text, flags=re.MULTILINE))


def names(text: str) -> list[str]:
    """Every name in backquotes."""
    return sorted(re.findall(r"`[^`\n]+`", text.replace("FICHIER", "FILE")))


def links(text: str) -> list[str]:
    """Where the links lead, but for the one to the other README; a page or picture in French counts as the same."""
    return [link.replace(".fr.", ".") for link in re.findall(r"\]\(([^)]+)\)", text)[1:]]


@pytest.mark.parametrize("part", [headings, table_rows, code_blocks, commands, list_items, names, links])
def test_both_have_the_same(part) -> None:
    assert part(FRENCH) == part(ENGLISH)


def test_each_leads_to_the_other() -> None:
    assert "(README.fr.md)" in ENGLISH.partition("\n## ")[0]
    assert "(README.md)" in FRENCH.partition("\n## ")[0]


def test_links_lead_somewhere() -> None:
    for text in (ENGLISH, FRENCH):
        files = {link.partition("#")[0] for link in links(text) if "://" not in link}
        assert not [file for file in files if not (PROJECT / file).exists()]
