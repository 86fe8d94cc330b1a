"""Programs in processes of their own, with a test's settings in their environment, as a user has them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from cashpay_pipeline.settings import Settings

HOLD = """
import sys
from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.warehouse import open_warehouse
with open_warehouse(load_settings(), owner=sys.argv[1]):
    print("holding", flush=True)
    sys.stdin.read()
"""
"""Holds the working file until its standard input ends."""


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """The environment of a process that is to have these settings."""
    values = {
        f"CASHPAY_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings
        if name in settings.model_fields_set and value is not None
    }
    ours = ("CASHPAY_", "DAGSTER_")
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {"PYTHONPATH": path} | values | more


@contextmanager
def started(program: str, settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that runs while the block does; its standard input ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=environment_of(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin and process.stdout
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(timeout=60)


def finished(program: str, settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python program that has run to its end."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment_of(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
