"""Real processes for jobs that may be killed: forked from one that has everything imported, 20 ms each."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent


class Children:
    """Starts jobs (see `jobs.run`) in processes of their own. Use as a context manager.

    Args:
        folder: takes what the processes print.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("CASHPAY_", "DAGSTER_"))}
        path = os.pathsep.join([str(HERE), str(HERE.parent)])
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "children"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**environment, "PYTHONPATH": path},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._nursery.stdin and self._nursery.stdout
        self._nursery.stdin.close()
        self._nursery.wait(timeout=30)
        self._nursery.stdout.close()

    def start(self, job: dict[str, Any]) -> int:
        """Start a job; its process id."""
        return int(self._ask({"start": job}))

    def wait(self, pid: int) -> dict[str, Any]:
        """Wait for the end of a job: `code`, negative for a signal, `output`, and its result if it had one."""
        return dict(self._ask({"wait": pid}))

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Start a job and wait for its end."""
        return self.wait(self.start(job))

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._nursery.stdin and self._nursery.stdout
        self._nursery.stdin.write(json.dumps(question) + "\n")
        self._nursery.stdin.flush()
        return json.loads(self._nursery.stdout.readline())


def _serve() -> None:
    """The nursery: one question a line, one answer a line; ends with its standard input."""
    from jobs import run

    # As a service manager starts it; an ignored signal would be inherited from whatever ran the tests before.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for line in sys.stdin:
        question = json.loads(line)
        if "start" in question:
            answer: Any = _fork(run, question["start"])
        else:
            answer = _reap(question["wait"])
        print(json.dumps(answer), flush=True)


def _fork(run: Any, job: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    with suppress(BaseException):
        me = os.getpid()
        for number, name in ((0, os.devnull), (1, f"{me}.out"), (2, f"{me}.out")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
        try:
            result = run(job)
            Path(f"{me}.json").write_text(json.dumps(result))
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        sys.stdout.flush()
    os._exit(code)


def _reap(pid: int) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    output, result = Path(f"{pid}.out"), Path(f"{pid}.json")
    found = {"code": code, "output": output.read_text() if output.exists() else ""}
    if code == -signal.SIGKILL:
        found["outcome"] = "killed"
    if result.exists():
        found |= json.loads(result.read_text())
    output.unlink(missing_ok=True)
    result.unlink(missing_ok=True)
    return found


if __name__ == "__main__":
    _serve()
