"""What the tests of the deployment files share: a server, and Prometheus's checker."""

import shutil
import subprocess

import pytest

from server.conftest import name, server
from support import require_program

__all__ = ["name", "promtool", "server"]


@pytest.fixture(scope="session")
def promtool(request):
    """promtool, if need be out of Debian's package, which is not installed: it starts a daemon."""
    kept = request.config.cache.mkdir("promtool")
    program = kept / "usr" / "bin" / "promtool"
    if shutil.which("promtool"):
        return "promtool"
    if not program.exists() and shutil.which("apt-get"):
        subprocess.run(["apt-get", "-qq", "download", "prometheus"], cwd=kept, check=False)
        for package in kept.glob("prometheus_*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, kept], check=True)
    return program if program.exists() else require_program("promtool")
