"""Runs a script in a Python process of its own: for forks, limits and whatever ends a process."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

_PATH = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]


def run_isolated(script: str, *arguments: str, timeout: float = 60) -> str:
    """Run a script with warnings as errors; its output, or an AssertionError with its errors.

    The modules of this folder can be imported.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_PATH)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
