"""Tests of the tests: make each defect of `defects.py` in a copy of the repository and see which test fails.

    python tests/mutants/mutate.py                 all of them
    python tests/mutants/mutate.py no_overlap ...  these

Exit code 1 if a defect survives, cannot be made, or if the tests fail without any defect.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from defects import DEFECTS, Defect

PROJECT = Path(__file__).parent.parent.parent
COPIED = ["cashpay_pipeline", "sql", "deploy", "docs", "notebooks", "tests"]
SECONDS, SECONDS_ALL = 300, 3600


def copy_to(folder: Path) -> None:
    for name in COPIED:
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in PROJECT.iterdir():
        if file.is_file() and not file.name.startswith(".env"):
            shutil.copy(file, folder)


def run_tests(folder: Path, selection: list[str], seconds: float) -> tuple[str, str]:
    """`passed`, `failed` with the first test that did, or `broken` with pytest's last words."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider", *selection]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as pytest:
        try:
            said, _ = pytest.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(pytest.pid, signal.SIGKILL)
            pytest.communicate()
            return "failed", f"not done after {seconds} s"
    if pytest.returncode == 0:
        return "passed", ""
    if found := re.search(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - |$)", said, flags=re.MULTILINE):
        return "failed", found.group(1)
    return "broken", " | ".join(said.strip().splitlines()[-3:])


def judge(folder: Path, defect: Defect) -> tuple[bool, str]:
    """Make a defect, see who notices, and take it back."""
    file = folder / defect.file
    text = file.read_text(encoding="utf-8")
    if text.count(defect.old) != 1:
        return False, f"CANNOT BE MADE: the old text occurs {text.count(defect.old)} times in {defect.file}"
    file.write_text(text.replace(defect.old, defect.new), encoding="utf-8")
    try:
        outcome, said = run_tests(folder, shlex.split(defect.tests), SECONDS)
        if outcome == "passed":
            outcome, said = run_tests(folder, [], SECONDS_ALL)
            said += " (not among the tests named)"
    finally:
        file.write_text(text, encoding="utf-8")
    if outcome == "passed":
        return False, "SURVIVED"
    return outcome == "failed", said if outcome == "failed" else f"BROKEN: {said}"


def main(names: list[str]) -> int:
    if unknown := set(names) - {d.name for d in DEFECTS}:
        print(f"There is no defect {', '.join(unknown)}.")
        return 1
    chosen = [d for d in DEFECTS if not names or d.name in names]
    with tempfile.TemporaryDirectory(prefix="cashpay-mutants-") as temporary:
        folder = Path(temporary).resolve()
        copy_to(folder)
        where = subprocess.check_output(
            [sys.executable, "-c", "import cashpay_pipeline; print(cashpay_pipeline.__file__)"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            text=True,
        )
        assert Path(where.strip()).is_relative_to(folder), where
        failures = 0
        for selection in sorted({d.tests for d in chosen}):
            outcome, said = run_tests(folder, shlex.split(selection), SECONDS)
            if outcome != "passed":
                failures += 1
                print(f"Without any defect, {selection}: {outcome}, {said}", flush=True)
        for defect in chosen:
            caught, said = judge(folder, defect)
            failures += not caught
            print(f"{defect.name:38}{'caught by ' if caught else ''}{said}", flush=True)
    print(f"{len(chosen)} defects, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
