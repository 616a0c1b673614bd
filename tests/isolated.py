"""Runs a script in a Python process of its own: for forks, limits and whatever ends a process."""

import subprocess
import sys
import textwrap


def run_isolated(script: str, *arguments: str, timeout: float = 60) -> str:
    """Run a script with warnings as errors; its output, or an AssertionError with its errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
