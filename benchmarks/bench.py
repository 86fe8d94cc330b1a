"""Our pipeline against what people would use instead, on the same server, in turn: A B C A B C ...

    make bench [CASE=full] [QUICK=1] [PAIRS=3] [TOOLS="ours,script,dlt arrow"]

Cases: full, in_flight, nightly, nightly_20ms, scale, nothing_new, rate_limit; all of them without CASE.

Every copy is compared with the server (count, distinct keys, sum of the amounts, open bills) before its time counts.
Ratios are the other's time by ours, within one round; above 1 means that ours is faster. The machine's own speed drops
out of them. Results are written to benchmarks/RESULTS.md, but for those of QUICK. The copies of the evening before are
made once and kept in benchmarks/.data; delete it when the core tables have changed.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from cashpay_pipeline.warehouse.store import DUE_AT

HERE = Path(__file__).resolve().parent
VENVS, DATA = HERE / ".venvs", HERE / ".data"
PACKAGES = {
    "script": ["requests==2.34.2", "pandas==3.1.1", "duckdb==1.5.6"],
    "dlt": ["dlt[duckdb]==1.31.0", "duckdb==1.5.6", "pyarrow==26.0.1", "orjson==3.13.0", "requests==2.34.2"],
    "singer": ["singer-sdk==0.54.9", "target-duckdb==0.8.0", "duckdb==1.5.6"],
    "floor": ["pyarrow==26.0.1", "duckdb==1.5.6"],
}
SECONDS_ALLOWED = 3600


@dataclass(frozen=True)
class Tool:
    """One way to copy the bills: its name, its virtual environment, its command, and the table it fills."""

    name: str
    venv: str
    command: Callable[[str, Path, dict[str, Any]], list[str]]
    table: str


@dataclass(frozen=True)
class Run:
    """One finished and checked run of a tool."""

    tool: str
    wall: float
    cpu: float
    peak_mib: float
    requests: int
    problem: str = ""


def python(venv: str) -> str:
    return str(VENVS / venv / "bin" / "python")


def dlt(mode: str) -> Tool:
    return Tool(
        f"dlt {mode}",
        "dlt",
        lambda url, folder, _: [python("dlt"), str(HERE / "peer_dlt.py"), url, str(folder / "copy.duckdb"), mode],
        "cashpay.bills",
    )


OURS = Tool(
    "ours",
    "",
    lambda url, folder, case: [
        *(sys.executable, str(HERE / "ours.py"), url, str(folder)),
        *(case["kind"], str(case["in_flight"]), str(case.get("per_second", 10_000))),
    ],
    "core.bills",
)
SCRIPT = Tool(
    "script",
    "script",
    lambda url, folder, _: [python("script"), str(HERE / "peer_script.py"), url, str(folder / "copy.duckdb")],
    "bills",
)
SINGER = Tool(
    "Singer",
    "singer",
    lambda url, folder, _: [
        *("sh", str(HERE / "peer_singer.sh"), str(VENVS / "singer"), url, str(folder / "copy.duckdb"))
    ],
    "cashpay.bills",
)
FLOOR = Tool(
    "floor",
    "floor",
    lambda url, folder, case: [
        *(python("floor"), str(HERE / "floor.py"), url, str(folder / "copy.duckdb")),
        *(str(case["total"]), str(case["in_flight"])),
    ],
    "bills",
)
PEERS = [SCRIPT, dlt("default"), dlt("tuned"), dlt("arrow"), SINGER]
TOOLS = {tool.name: tool for tool in (OURS, *PEERS, FLOOR)}

NIGHT = {"kind": "refresh", "in_flight": 2, "bills": 1_000_000, "new": 8_000, "changed": 2_000}
FULL = {"kind": "full_refresh", "in_flight": 2, "bills": 100_000}
CASES: dict[str, dict[str, Any]] = {
    "full": FULL | {"title": "Full refresh of 100,000 bills, no latency"},
    "in_flight": FULL
    | {"title": "Full refresh of 100,000 bills, 20 ms a request, 8 in flight", "in_flight": 8, "latency_ms": 20},
    "nightly": NIGHT | {"title": "Nightly refresh at 1,000,000 bills: 8,000 new, 2,000 paid late, 1,370 a day before"},
    "nightly_20ms": NIGHT | {"title": "The same nightly refresh, 20 ms a request", "latency_ms": 20},
}


def main() -> None:
    options = arguments()
    DATA.mkdir(exist_ok=True)
    names = [options.case] if options.case else [*CASES, "scale", "nothing_new", "rate_limit"]
    chosen = [TOOLS[name] for name in options.tools.split(",")] if options.tools else [*TOOLS.values()]
    for tool in chosen:
        make_venv(tool.venv)
    for name in names:
        if name in CASES:
            found = compare(CASES[name] | quick(options, CASES[name]), chosen, options.pairs)
        else:
            found = {"scale": scale, "nothing_new": nothing_new, "rate_limit": rate_limit}[name](options)
        found |= {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
        if options.quick:
            print("\n".join(section(found)))
        else:
            keep(found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=[*CASES, "scale", "nothing_new", "rate_limit"])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the bills, one round")
    parser.add_argument("--tools", help="only these, with commas: ours,script,...")
    parser.add_argument("--bills", type=int, help="instead of the case's own number")
    options = parser.parse_args()
    if options.quick:
        options.pairs = 1
    return options


def quick(options: argparse.Namespace, case: dict[str, Any]) -> dict[str, Any]:
    bills = options.bills or (max(20_000, case["bills"] // 100) if options.quick else case["bills"])
    return {"bills": bills, "new": case.get("new", 0) and bills // 125, "changed": case.get("changed", 0) and 1_000}


def make_venv(name: str) -> None:
    """A virtual environment for a peer, once."""
    if not name or (VENVS / name / "ready").exists():
        return
    print(f"Making the environment of {name} ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(VENVS / name)], check=True)
    subprocess.run([str(VENVS / name / "bin" / "pip"), "install", "--quiet", *PACKAGES[name]], check=True)
    (VENVS / name / "ready").touch()


@contextmanager
def serve(case: dict[str, Any]) -> Iterator[str]:
    """The benchmark server in a process of its own; its address."""
    words = [
        f"--{name.replace('_', '-')}={case[name]}"
        for name in ("bills", "per_day", "new", "changed", "latency_ms", "rate_limit", "page_cap")
        if case.get(name)
    ]
    with subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), *words], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def stats(url: str, *, reset: bool = False) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/stats{'?reset=1' if reset else ''}") as reply:
        return dict(json.load(reply))


def measure(tool: Tool, url: str, folder: Path, case: dict[str, Any]) -> Run:
    """Run a tool once as a whole process, and compare its copy with the server."""
    truth = stats(url, reset=True)
    command = tool.command(url, folder, case | {"total": truth["bills"]})
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    problem = f"exit {process.returncode}: {said[-300:]}" if process.returncode else difference(tool, folder, truth)
    run = Run(tool.name, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, stats(url)["requests"], problem)
    print(
        f"  {run.tool:14} {run.wall:7.2f} s wall {run.cpu:7.2f} s cpu {run.peak_mib:6.0f} MiB "
        f"{run.requests:7,} requests {run.problem}",
        flush=True,
    )
    return run


def difference(tool: Tool, folder: Path, truth: dict[str, Any]) -> str:
    """What is wrong with a copy; nothing if it agrees with the server."""
    path = folder / ("warehouse.duckdb" if tool is OURS else "copy.duckdb")
    # With little memory: what this process holds would count as the peak of those it starts.
    with duckdb.connect(str(path), read_only=True, config={"memory_limit": "100MB"}) as connection:
        found = connection.execute(
            f"select count(*), count(distinct order_reference), sum(cast(amount as bigint)), "  # noqa: S608
            f"count(*) filter (state in ('Pending', 'Partial')) from {tool.table}"
        ).fetchone()
    expected = (truth["bills"], truth["bills"], truth["amount"], truth["open"])
    if found and found[:3] == expected[:3] and (folder / "enlarged").exists():
        return ""  # how many of the copied bills are open is not the server's number
    return "" if found == expected else f"has {found}, not {expected}"


def compare(case: dict[str, Any], tools: list[Tool], pairs: int) -> dict[str, Any]:
    """Rounds of all tools in turn. Where the case is a refresh, each begins with the copy of the evening before."""
    print(case["title"], flush=True)
    runs: list[list[Run]] = []
    refresh = case["kind"] == "refresh"
    tools = [tool for tool in tools if not (refresh and tool is FLOOR)]
    before = {OURS.name: lambda tool, case: enlarged(case["bills"], case)}
    bases = {tool.name: before.get(tool.name, evening_before)(tool, case) for tool in tools} if refresh else {}
    with serve(case) as url:
        for _ in range(pairs):
            runs.append([])
            for tool in tools:
                with fresh_folder(bases.get(tool.name)) as folder:
                    runs[-1].append(measure(tool, url, folder, case))
    return {
        "title": case["title"],
        "rounds": [[asdict(run) for run in each] for each in runs],
        "bills": case["bills"],
        "told": ENLARGED if refresh and case["bills"] > 100_000 else "",
    }


AGED = """
update core.bills set first_seen_at = least(created_at + interval 6 hours, first_seen_at),
    changed_at = least(created_at + interval 6 hours, first_seen_at);
update core.bill_versions as v set observed_at = bill.changed_at
from core.bills as bill where bill.order_reference = v.order_reference;
update core.payments as p set observed_at = bill.changed_at
from core.bills as bill where bill.order_reference = p.order_reference
"""
"""As nightly refreshes leave a bill; after a first load all were first seen, and all versions written, that night."""


def evening_before(tool: Tool, case: dict[str, Any]) -> Path:
    """A full copy of the day before, made once and kept."""
    folder = DATA / f"{tool.name.replace(', ', '-')}-{case['bills']}"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"  the evening before, {tool.name}:", flush=True)
        with serve({"bills": case["bills"], "per_day": case.get("per_day")}) as url:
            run = measure(tool, url, folder, case | {"kind": "full_refresh"})
        if tool is OURS:
            with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
                connection.execute(AGED)
        (folder / "ready").write_text(json.dumps(asdict(run)))
    return folder


@contextmanager
def fresh_folder(base: Path | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=DATA))
    try:
        if base:
            shutil.copytree(base, folder, dirs_exist_ok=True)
            os.sync()  # or the first checkpoint would wait for the copy to be written
        yield folder
    finally:
        shutil.rmtree(folder)


def scale(options: argparse.Namespace) -> dict[str, Any]:
    """The nightly refresh with the same news, at 100,000 bills and at ten and a hundred times as many."""
    sizes = [20_000, 40_000] if options.quick else [100_000, 1_000_000, options.bills or 10_000_000]
    case = CASES["nightly"] | ({"new": 160, "changed": 1_000} if options.quick else {})
    title = f"The same nightly refresh at {', '.join(f'{bills:,}' for bills in sizes)} bills"
    print(title, flush=True)
    rounds: list[list[dict[str, Any]]] = []
    bases = {bills: enlarged(bills, case) for bills in sizes}
    for _ in range(options.pairs):
        rounds.append([])
        for bills in sizes:
            with serve(case | {"bills": bills}) as url, fresh_folder(bases[bills]) as folder:
                run = measure(OURS, url, folder, case)
                rounds[-1].append(asdict(run) | {"tool": f"ours at {bills:,}"})
    return {"title": title, "rounds": rounds, "bills": sizes[-1], "told": ENLARGED}


ENLARGED = (
    "Warehouses above 100,000 bills: the newest 100,000 as our pipeline read them, and older ones copied from them in "
    "SQL. Of those the number of open bills is not compared with the server's."
)


def enlarged(bills: int, case: dict[str, Any]) -> Path:
    """A warehouse of so many bills: the newest 100,000 read from the server, the older ones copied from them in SQL."""
    base = evening_before(OURS, case | {"bills": min(bills, 100_000)})
    folder = DATA / f"ours-{bills}"
    if bills <= 100_000 or (folder / "ready").exists():
        return base if bills <= 100_000 else folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)
    # In a process of its own: what this one holds would count as the peak memory of those it starts.
    process = multiprocessing.get_context("spawn").Process(target=enlarge, args=(folder, bills))
    process.start()
    process.join()
    assert process.exitcode == 0
    (folder / "enlarged").touch()
    (folder / "ready").touch()
    return folder


def enlarge(folder: Path, bills: int) -> None:
    days = 100_000 / 1_370
    written = ("observed_at",)
    aged = {"bills": ("created_at", "first_seen_at", "changed_at"), "bill_versions": written, "payments": written}
    with duckdb.connect(str(folder / "warehouse.duckdb"), config={"memory_limit": "2GB"}) as connection:
        for table, times in aged.items():
            connection.execute(f"create or replace temp table t as from core.{table}")
            due = f", {DUE_AT} as due_at" if table == "bills" else ""
            for n in range(1, bills // 100_000):
                seconds = int(n * days * 86400)
                older = "".join(f", {name} - interval '{seconds} seconds' as {name}" for name in times)
                copied = f"select * replace (order_reference || '-{n}' as order_reference{older}) from t"  # noqa: S608
                connection.execute(
                    f"insert into core.{table} by name select * {due and 'exclude (due_at)'}{due} from ({copied})"  # noqa: S608
                )


def nothing_new(options: argparse.Namespace) -> dict[str, Any]:
    """A second refresh in the same night: which requests does it make?"""
    case = CASES["nightly"] | {"bills": options.bills or 100_000}
    title = f"A refresh with nothing new, at {case['bills']:,} bills"
    print(title, flush=True)
    with serve(case) as url, fresh_folder(enlarged(case["bills"], case)) as folder:
        first, second = (measure(OURS, url, folder, case) for _ in range(2))
        counted = stats(url)
    rounds = [[asdict(first) | {"tool": "the night's refresh"}, asdict(second) | {"tool": "again at once"}]]
    overlap = case["new"] + case.get("per_day", 1_370)
    told = (
        f"The second one asked for {counted['pages']} list pages and {counted['details']} details. The overlap of 48 "
        f"hours holds {overlap:,} bills, {overlap / 100:.0f} pages. The others: the first page past the overlap, the "
        "newest page once more, what had become due; beside them the login and the gateways."
    )
    return {"title": title, "rounds": rounds, "bills": case["bills"], "told": told}


def rate_limit(options: argparse.Namespace) -> dict[str, Any]:
    """5 a second by our own limit, and 5 a second by the server's while we would go four times as fast."""
    bills = 3_000 if options.quick else 15_000
    case = FULL | {"bills": bills, "title": f"Rate limit of 5 a second, {bills:,} bills"}
    print(case["title"], flush=True)
    rounds, told = [], []
    for name, limit, per_second in (("our limit", 0, 5), ("the server's limit", 5, 20)):
        with serve(case | {"rate_limit": limit, "latency_ms": 20}) as url, fresh_folder() as folder:
            run = measure(OURS, url, folder, case | {"per_second": per_second})
            counted = stats(url)
        span = counted["last_at"] - counted["first_at"]
        accepted = counted["requests"] - counted["refused"]
        told.append(
            f"{name}: {accepted} requests answered in {span:.1f} s, "
            f"{100 * (accepted - 1) / span / 5:.1f} % of 5 a second; {counted['refused']} refused, "
            f"{counted['inside_retry_after']} sent inside Retry-After."
        )
        rounds.append([asdict(run) | {"tool": name}])
    return {"title": case["title"], "rounds": rounds, "bills": bills, "told": " ".join(told)}


def keep(found: dict[str, Any]) -> None:
    """Put a case's table into RESULTS.md, in place of the one of the same title; the others stay."""
    path = HERE / "RESULTS.md"
    known = path.read_text().split("\n## ")[1:] if path.exists() else []
    sections = {text.partition("\n")[0]: f"\n## {text.rstrip()}" for text in known}
    sections[found["title"]] = "\n".join(section(found))
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    head = [
        "# Measured",
        "",
        "By `make bench` (benchmarks/bench.py); each case says when. Ratio: the other's wall time by ours within",
        "the same round, median (lowest to highest); above 1, ours is faster. Times are medians of one machine, often",
        "busy with other work: compare the ratios. CPU is user and system time of all processes, memory that of",
        "the largest one.",
        "Every copy agreed with the server in count, keys, amounts and open bills, unless a line says otherwise.",
        "",
        f"Python {platform.python_version()}, {cores} cores, {memory:.0f} GiB; ours: "
        + ", ".join(f"{p} {version(p)}" for p in ("duckdb", "pandas", "requests"))
        + ".",
        *(f"{name}: {', '.join(packages)}." for name, packages in PACKAGES.items()),
    ]
    path.write_text("\n".join([*head, *sections.values()]) + "\n")


def section(found: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"## {found['title']}", "")
    yield f"{found['at']}, {len(found['rounds'])} rounds."
    yield from (
        "",
        "| | ratio | CPU ratio | wall, s | CPU, s | peak, MiB | requests |",
        "|---|---|---|---|---|---|---|",
    )
    rounds = found["rounds"]
    together = len({len(each) for each in rounds}) == 1 and len(rounds[0]) > 1
    columns = list(zip(*rounds, strict=True)) if together else [(run,) for each in rounds for run in each]
    for runs in columns:
        ratios = [[run[key] / base[key] for run, base in zip(runs, columns[0], strict=True)] for key in ("wall", "cpu")]
        is_base = runs is columns[0] or not together
        yield (
            "| "
            + " | ".join(
                [
                    runs[0]["tool"],
                    *("" if is_base else spread(each) for each in ratios),
                    *(f"{statistics.median(run[key] for run in runs):.1f}" for key in ("wall", "cpu")),
                    f"{statistics.median(run['peak_mib'] for run in runs):.0f}",
                    f"{statistics.median(run['requests'] for run in runs):,.0f}",
                ]
            )
            + " |"
        )
    if found.get("told"):
        yield from ("", found["told"])
    for problem in sorted({f"{run['tool']}: {run['problem']}" for each in rounds for run in each if run["problem"]}):
        yield from ("", f"Not right: {problem}")


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
