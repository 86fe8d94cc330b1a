"""The graph of `refresh` with nothing in it: a code location that needs Dagster alone, and no module of ours.

The file that `EMPTY_GRAPH` names says which steps there are, in JSON: see `graph_of`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

Told = Mapping[dg.AssetKey, Mapping[str, Any]]


def graph_of(defs: dg.Definitions) -> dict[str, Any]:
    """The steps of some definitions, as plain values: assets with what they depend on, and checks."""
    return {
        "steps": {
            step.op.name: [[spec.key.path, [dep.asset_key.path for dep in spec.deps]] for spec in step.specs]
            for step in defs.assets or []
            if isinstance(step, dg.AssetsDefinition)
        },
        "checks": {
            step.op.name: [[spec.name, spec.asset_key.path, spec.blocking] for spec in step.check_specs]
            for step in defs.asset_checks or []
        },
    }


def empty_definitions(graph: Mapping[str, Any], told: Told | None = None, prefix: str = "empty") -> dg.Definitions:
    """The same steps, assets, dependencies and checks, none of which does anything, and two jobs of all of them.

    Args:
        graph: see `graph_of`.
        told: what to tell Dagster of each asset.
        prefix: what the names of the assets begin with, for Dagster remembers what was made of each.
    """

    def key(path: list[str]) -> dg.AssetKey:
        return dg.AssetKey([prefix, *path])

    def step(name: str, assets: list[Any]) -> dg.AssetsDefinition:
        specs = [dg.AssetSpec(key(path), deps=map(key, deps)) for path, deps in assets]

        @dg.multi_asset(name=name, specs=specs)
        def nothing() -> Iterator[dg.MaterializeResult[Any]]:
            for spec in specs:
                told_of_it = (told or {}).get(dg.AssetKey(spec.key.path[1:]))
                yield dg.MaterializeResult(asset_key=spec.key, metadata=told_of_it)

        return nothing

    def checks(name: str, found: list[Any]) -> dg.AssetChecksDefinition:
        specs = [dg.AssetCheckSpec(check, asset=key(path), blocking=blocking) for check, path, blocking in found]

        @dg.multi_asset_check(name=name, specs=specs)
        def nothing() -> Iterator[dg.AssetCheckResult]:
            for spec in specs:
                yield dg.AssetCheckResult(passed=True, asset_key=spec.asset_key, check_name=spec.name)

        return nothing

    return dg.Definitions(
        [step(*named) for named in graph["steps"].items()],
        asset_checks=[checks(*named) for named in graph["checks"].items()],
        jobs=[
            dg.define_asset_job("empty", executor_def=dg.in_process_executor),
            dg.define_asset_job("empty_by_default"),
        ],
    )


if "EMPTY_GRAPH" in os.environ:
    defs = empty_definitions(json.loads(Path(os.environ["EMPTY_GRAPH"]).read_text()))
