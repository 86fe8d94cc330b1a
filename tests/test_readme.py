"""The README and .env.example name what there is: tables, settings, commands, make targets."""

import re
from pathlib import Path

from cashpay_pipeline.cli import app
from cashpay_pipeline.definitions import defs
from cashpay_pipeline.settings import Settings

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
VARIABLES = {f"CASHPAY_{name.upper()}" for name in Settings.model_fields}


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)


def test_the_table_list_is_the_list_of_assets() -> None:
    assets = {".".join(spec.key.path) for spec in defs.resolve_all_asset_specs()}
    assert sorted(first_cells(section("Tables"))) == sorted(assets)


def test_the_settings_table_is_the_list_of_settings() -> None:
    assert sorted(first_cells(section("Settings"))) == sorted(VARIABLES | {"DAGSTER_HOME"})


def test_the_settings_table_tells_the_defaults() -> None:
    for name, default in re.findall(r"^\| `CASHPAY_(\w+)` \| `?([^|`]+)`? \|", section("Settings"), flags=re.MULTILINE):
        actual = Settings.model_fields[name.lower()].default
        if actual is not None:
            assert type(actual)(default) == actual, name


def test_env_example_names_every_setting_and_sets_none() -> None:
    lines = (PROJECT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert sorted(re.findall(r"^# (\w+)=", "\n".join(lines), flags=re.MULTILINE)) == sorted(
        VARIABLES | {"DAGSTER_HOME"}
    )
    assert not [line for line in lines if line and not line.startswith("#")]


def test_every_command_is_described() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {cell.split()[1] for cell in first_cells(section("Run it"))} == commands


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)", README)) <= targets
