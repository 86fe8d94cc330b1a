"""The long run: `make chaos SEEDS=1000`; one seed again: `make chaos SEEDS=1 FIRST=1234`."""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from plan import FAMILIES  # noqa: E402
from play import play_slice  # noqa: E402

SLICE = 5


def main() -> int:
    """Play the seeds asked for; exit 1 if one failed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=50)
    arguments.add_argument("--first", type=int, default=1)
    arguments.add_argument("--workers", type=int, default=2)
    asked = arguments.parse_args()
    began, failed, done = time.monotonic(), 0, 0
    covered: Counter[tuple[str, str]] = Counter()
    starts = range(asked.first, asked.first + asked.seeds, SLICE)
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        slices = [min(SLICE, asked.first + asked.seeds - start) for start in starts]
        for found, met in pool.map(play_slice, starts, slices):
            failed += found
            covered += met
            done += 1
            print(f"{min(done * SLICE, asked.seeds)} of {asked.seeds} seeds played", file=sys.stderr, flush=True)
    print(f"\n{asked.seeds} seeds, {failed} failed, {time.monotonic() - began:.0f} s")
    moments = sorted({moment for _, moment in covered})
    print("runs by fault family (across) and the moment of the kill (down):")
    print(f"{'':22}" + "".join(f"{family:>7}" for family in f"-{FAMILIES}"))
    for moment in moments:
        print(f"{moment:22}" + "".join(f"{covered[family, moment]:>7}" for family in f"-{FAMILIES}"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
