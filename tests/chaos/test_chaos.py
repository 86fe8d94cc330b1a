"""Six seeds on every change, 44 more in `make long`; `make chaos SEEDS=1000` for the long run. See play.py."""

from collections.abc import Iterator

import pytest
from children import Children
from plan import make_plan
from play import Player, report, shrink

from cashpay_pipeline.simulator.process import SimulatorProcess


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    folder = tmp_path_factory.mktemp("chaos")
    with SimulatorProcess(frozen=True) as simulator, Children(folder) as children:
        yield Player(simulator, children, folder)


@pytest.fixture
def new_files_are_copies() -> None:
    """Not here: stories also die while a new file is made."""


@pytest.mark.parametrize("seed", [*range(1, 7), *(pytest.param(n, marks=pytest.mark.long) for n in range(7, 51))])
def test_whatever_happens_the_numbers_are_true(seed: int, player: Player):
    plan = make_plan(seed)
    if wrong := player.play(plan):
        pytest.fail(report(seed, wrong, shrink(player, plan, wrong, seconds=20)), pytrace=False)


def test_a_story_is_all_in_its_seed():
    assert make_plan(1234) == make_plan(1234)
    assert make_plan(1234) != make_plan(1235)
