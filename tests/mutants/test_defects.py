"""The defects can still be made: each old text occurs exactly once. `make mutants` runs them."""

import pytest
from defects import DEFECTS
from mutate import PROJECT


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: d.name)
def test_a_defect_can_be_made(defect):
    text = (PROJECT / defect.file).read_text(encoding="utf-8")
    assert text.count(defect.old) == 1
    assert all((PROJECT / word).exists() for word in defect.tests.split() if word.startswith("tests/"))


def test_names_are_unique_and_none_of_the_thirty_is_missing():
    assert len({d.name for d in DEFECTS}) == len(DEFECTS) >= 30
