"""The core of the suite on other versions and in other time zones: `make matrix`; see docs/testing.md.

Each pair of versions has a virtual environment of its own under `.matrix/` (ignored by git), made of the lock with the
pair in place of its own versions. All pairs run in Lome, the other zones with one pair.

    python tests/matrix.py              everything
    python tests/matrix.py 2.0.0 Paris  the rows whose name holds all of these words
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from time import perf_counter

PROJECT = Path(__file__).parent.parent
PAIRS = [("1.5.5", "3.1.1"), ("1.5.5", "2.2.3"), ("2.0.0", "3.1.1"), ("2.0.0", "2.2.3")]
ZONES = ["Africa/Lome", "Europe/Paris", "Asia/Kolkata", "America/Los_Angeles"]
ROWS = [*((*pair, ZONES[0]) for pair in PAIRS), *((*PAIRS[0], zone) for zone in ZONES[1:])]
CORE = [
    "tests/test_first_sync.py::test_every_other_form_is_read",
    "tests/test_first_sync.py::test_a_second_sync_after_a_day_has_what_changed",
    "tests/test_recheck.py::test_a_bill_of_two_months_ago_paid_today_is_found",
    *(
        f"tests/test_{name}.py"
        for name in "walks rebuild payloads changes poor_lists normalize money times privacy marts dagster_run".split()
    ),
]
MINUTES = 40


def python_with(duckdb: str, pandas: str) -> Path:
    """The interpreter of a pair's environment, made if need be."""
    home = PROJECT / ".matrix" / f"duckdb-{duckdb}-pandas-{pandas}"
    python, ready = home / "bin" / "python", home / "ready"
    lock = (PROJECT / "requirements-dev.lock").read_text()
    for package, version in (("duckdb", duckdb), ("pandas", pandas)):
        lock = re.sub(rf"^{package}==.*$", f"{package}=={version}", lock, flags=re.MULTILINE)
    if not ready.exists() or ready.read_text() != lock:
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        wanted = home / "requirements.lock"
        wanted.write_text(lock)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*pip, "--requirement", wanted], check=True)
        subprocess.run([*pip, "--no-deps", "--editable", PROJECT], check=True)
        ready.write_text(lock)
    return python


def run(duckdb: str, pandas: str, zone: str) -> tuple[bool, str]:
    """Whether the core passes, and pytest's last words."""
    command = [
        *(python_with(duckdb, pandas), "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"),
        *("--numprocesses", "auto", "--dist", "worksteal"),
        *CORE,
    ]
    environment = {**os.environ, "TZ": zone, "PYTHONPATH": str(PROJECT)}
    try:
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60 * MINUTES
        )
    except subprocess.TimeoutExpired:
        return False, f"not done after {MINUTES} minutes"
    if done.returncode:
        print(done.stdout[-20_000:], done.stderr[-2_000:], flush=True)
    return done.returncode == 0, (done.stdout.strip().splitlines() or ["nothing said"])[-1].strip("= ")


def main(words: list[str]) -> int:
    rows = [row for row in ROWS if all(any(word in cell for cell in row) for word in words)]
    failed = 0
    print(f"{'DuckDB':8}{'pandas':8}{'zone':21}result", flush=True)
    for duckdb, pandas, zone in rows:
        started = perf_counter()
        passed, said = run(duckdb, pandas, zone)
        failed += not passed
        print(f"{duckdb:8}{pandas:8}{zone:21}{'same' if passed else 'DIFFERS'}: {said}", end="", flush=True)
        print(f" ({perf_counter() - started:.0f} s with setting up)", flush=True)
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
