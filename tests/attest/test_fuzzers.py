"""Fuzzers that are led by coverage, a minute each: a long campaign."""

import subprocess
import sys
from pathlib import Path

import pytest

from support import require_module

FUZZER = Path(__file__).with_name("fuzzer.py")


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", ["tpm", "sev-snp", "nitro", "log", "document", "policy"])
def test_nothing_but_our_errors_comes_out(tmp_path, target):
    """Whatever bytes the fuzzer thinks of."""
    require_module("atheris")
    done = subprocess.run(
        [sys.executable, FUZZER, target, tmp_path / "corpus", "-max_total_time=60",
         "-max_len=8192", f"-artifact_prefix={tmp_path}/"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-4_000:]
    assert b"DONE" in done.stderr
