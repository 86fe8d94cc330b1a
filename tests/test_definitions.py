"""What Dagster is told, that loading it touches nothing, and which module may import what."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import cashpay_pipeline
from cashpay_pipeline.catalog import catalog
from cashpay_pipeline.checks import all_checks, read_check
from cashpay_pipeline.definitions import build_defs, defs
from cashpay_pipeline.errors import WarehouseError
from cashpay_pipeline.marts import all_marts, code_version, read_mart

PACKAGE = Path(cashpay_pipeline.__file__).parent
PROJECT = PACKAGE.parent
CORE = {"gateways", "gateway_versions", "bills", "bill_versions", "payments", "data_issues", "api_fields", "syncs"}
RECONCILIATION = {"marts/reconciliation", "marts/reconciliation_runs"}
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "simulator" not in path.parts]

ALLOWED = {
    "dagster": ("defs/", "definitions.py"),
    "duckdb": ("warehouse/", "marts.py", "lineage.py"),
    "requests": ("client.py", "auth.py"),
    "sqlglot": ("lineage.py",),
    "typer": ("cli.py",),
    "rich": ("terminal.py",),
}


def specs() -> dict[str, dg.AssetSpec]:
    return {"/".join(spec.key.path): spec for spec in defs.resolve_all_asset_specs()}


def test_every_table_is_an_asset_in_the_group_of_its_schema_but_those_made_after_publishing() -> None:
    assert {key: spec.group_name for key, spec in specs().items()} == (
        {f"core/{name}": "core" for name in CORE}
        | {f"marts/{path.stem}": "marts" for path in (PROJECT / "sql" / "marts").glob("*.sql")}
        | {key: "reconciliation" for key in RECONCILIATION}
        | {"published/analytics": "published"}
    )


def test_no_groups_wait_for_each_other() -> None:
    """A group that is folded up is one box in the interface: two in a loop have no order."""
    edges = {
        (specs()["/".join(dep.asset_key.path)].group_name, spec.group_name)
        for spec in specs().values()
        for dep in spec.deps
    }
    assert edges == {
        ("core", "marts"), ("marts", "marts"), ("core", "published"), ("marts", "published"),
        ("core", "reconciliation"), ("published", "reconciliation"),
    }  # fmt: skip


def test_an_asset_has_the_comments_and_columns_of_its_table() -> None:
    for key, spec in specs().items():
        if spec.group_name == "published":
            continue
        comment, columns = catalog().tables[spec.key.path[0], spec.key.path[1]]
        schema = spec.metadata["dagster/column_schema"]
        assert spec.description == comment
        assert [(c.name, c.type, c.description) for c in schema.columns] == [
            (c.name, c.type.lower(), c.comment) for c in columns
        ], key


def test_every_table_and_the_copy_must_be_new_every_morning_save_what_not_every_shop_has() -> None:
    assert {key for key, spec in specs().items() if spec.freshness_policy is None} == RECONCILIATION


def test_every_step_says_what_it_does() -> None:
    nodes = defs.resolve_job_def("refresh").nodes
    assert not [node.name for node in nodes if not node.definition.description]


def test_a_mart_has_another_code_version_when_its_file_changes(tmp_path: Path) -> None:
    """Dagster shows which tables were made by other code than is there now."""
    versions = {key: spec.code_version for key, spec in specs().items() if spec.code_version}
    assert set(versions) == {f"marts/{mart.name}" for mart in all_marts()}
    path = tmp_path / "bill_states.sql"
    path.write_text((PROJECT / "sql" / "marts" / path.name).read_text())
    assert code_version(read_mart(path)) == versions["marts/bill_states"]
    path.write_text(path.read_text().replace("count(*)", "count(1)"))
    assert code_version(read_mart(path)) != versions["marts/bill_states"]


def test_dependencies_are_those_of_the_sql_and_the_copy_comes_last() -> None:
    deps = {key: {"/".join(dep.asset_key.path) for dep in spec.deps} for key, spec in specs().items()}
    assert deps["marts/time_to_pay"] == {"core/bills"}
    assert deps["marts/monthly_summary"] == {"core/bills", "marts/daily_collections"}
    assert deps["published/analytics"] == set(deps) - {"published/analytics"} - RECONCILIATION
    assert all(deps[key] == {"core/bills", "published/analytics"} for key in RECONCILIATION)
    assert not any(deps[f"core/{name}"] for name in CORE)


def test_jobs_read_in_their_own_way_and_in_one_process() -> None:
    kinds = {"refresh": "refresh", "full_refresh": "full_refresh", "recheck_open_bills": "recheck"}
    for name, kind in kinds.items():
        job = defs.resolve_job_def(name)
        assert job.run_config["ops"] == {"sync": {"config": {"kind": kind, "dry_run": False}}}
        assert job.executor_def is dg.in_process_executor
        selected = {"/".join(key.path) for key in job.asset_layer.selected_asset_keys}
        assert selected == set(specs()) - (RECONCILIATION if name == "recheck_open_bills" else set())


def test_schedules_run_at_night_in_lome() -> None:
    found = {
        schedule.name: (schedule.cron_schedule, schedule.execution_timezone, schedule.job_name, schedule.default_status)
        for schedule in defs.schedules or []
        if isinstance(schedule, dg.ScheduleDefinition)
    }
    running, stopped = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
    assert found == {
        "nightly_refresh": ("15 2 * * *", "Africa/Lome", "refresh", running),
        "second_try": ("15 3-5 * * *", "Africa/Lome", "refresh", running),
        "weekly_full_refresh": ("15 3 * * 0", "Africa/Lome", "full_refresh", running),
        "frequent_recheck": ("*/15 * * * *", "Africa/Lome", "recheck_open_bills", stopped),
    }


def test_in_another_location_nothing_need_run_by_itself() -> None:
    made = build_defs(key_prefix="cashpay", running=False)
    by_themselves = [*(made.schedules or []), *(made.sensors or [])]
    assert {each.default_status.value for each in by_themselves} == {"STOPPED"}  # type: ignore[union-attr]
    assert len(by_themselves) == 6


def test_every_step_that_writes_is_in_the_pool_of_one_writer() -> None:
    steps = [*(defs.assets or []), *(defs.asset_checks or [])]
    assert {pool for step in steps if isinstance(step, dg.AssetsDefinition) for pool in step.op.pools} == {
        "duckdb_writer"
    }


def test_no_config_has_a_place_for_a_secret() -> None:
    """S4: what is typed into the launchpad is stored in the run."""
    schema = str(defs.resolve_job_def("refresh").run_config_schema.config_type)
    assert not [word for word in ("password", "secret", "api_key", "token", "login") if word in schema]


def test_definitions_can_be_made_twice_and_with_other_settings() -> None:
    dg.Definitions.validate_loadable(build_defs())


@pytest.mark.parametrize("prefix", ["", [], None])
def test_an_empty_prefix_is_none(prefix: str | list[str] | None) -> None:
    made = build_defs(key_prefix=prefix)
    assert [job.name for job in made.jobs or []] == [job.name for job in defs.jobs or []]
    assert set(made.resolve_all_asset_keys()) == set(defs.resolve_all_asset_keys())
    assert made.executor is defs.executor


def test_loading_reads_no_environment_and_touches_nothing(tmp_path: Path) -> None:
    """In a process of its own, with a wrong environment: no setting is read, no file written, no connection made."""
    program = """
import json, sys
seen = []
def watch(event, args):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir") or (
        event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    ):
        seen.append([event, str(args[0])])
import dagster
sys.addaudithook(watch)
import cashpay_pipeline.definitions
print(json.dumps(seen))
"""
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "CASHPAY_AUTH": "nonsense", "CASHPAY_PAGE_SIZE": "-1"}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == []
    assert not list(tmp_path.iterdir())


def test_loading_imports_nothing_that_only_a_run_needs(tmp_path: Path) -> None:
    """It is done at every start of a process of Dagster's, and must take little longer than `import dagster`."""
    program = """
import sys
import dagster
before = set(sys.modules)
import cashpay_pipeline.definitions
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    heavy = set(result.stdout.split()) - {"cashpay_pipeline", "dagster", *sys.stdlib_module_names}
    assert not heavy, "if it is sqlglot, run `make docs`"


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; import cashpay_pipeline.cli; "
        "print([m for m in ('dagster', 'pandas', 'duckdb', 'requests', 'sqlglot') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("library", ALLOWED)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    offenders = {
        name
        for path in MODULES
        if not (name := path.relative_to(PACKAGE).as_posix()).startswith(ALLOWED[library])
        and library in {module.partition(".")[0] for module in _imports(path)}
    }
    assert not offenders, f"imports {library} outside {ALLOWED[library]}: {offenders}"


def test_steps_do_not_import_what_composes_them() -> None:
    composers = {"defs", "definitions", "cli", "__main__"}
    offenders = {
        path.relative_to(PACKAGE).as_posix(): module
        for path in MODULES
        for module in _imports(path)
        if composers & set(module.split(".")[1:2])
        and path.relative_to(PACKAGE).with_suffix("").parts[0] not in composers
    }
    assert not offenders


def test_every_module_opens_with_its_contract() -> None:
    assert not [path for path in PACKAGE.rglob("*.py") if not ast.get_docstring(ast.parse(path.read_text()))]


def test_a_wheel_carries_the_sql_and_the_deployment_files() -> None:
    text = (PROJECT / "pyproject.toml").read_text()
    assert 'sql = "cashpay_pipeline/sql"' in text and 'deploy = "cashpay_pipeline/deploy"' in text


def test_lock_files_name_exact_versions_and_no_registry() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lines = (PROJECT / name).read_text().splitlines()
        assert lines and not [line for line in lines if "==" not in line or "/" in line or " " in line]


def test_every_check_names_a_table_and_leaves_personal_data_out() -> None:
    """Of what CashPay sent it may ask for a sum."""
    asks_for_a_sum = re.compile(r"json_valid\(\w+\.payload\)|json_extract_string\(\w+\.payload, '[^']*amount'\)")
    for check in all_checks():
        assert check.table in catalog().tables, check.name
        sql = asks_for_a_sum.sub("", check.sql)
        assert not [word for word in ("client_", "payload", "description", "select *") if word in sql], check.name


def test_a_check_without_a_proper_header_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "odd.sql"
    path.write_text("-- Text.\n-- asset: core/bills\nselect 1\n")
    with pytest.raises(WarehouseError, match=r"odd\.sql: the header must"):
        read_check(path)


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found
