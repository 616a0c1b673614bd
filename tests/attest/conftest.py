"""TPMs of software, and servers that show their evidence over TLS."""

import pytest

from attest.serving import AttestedServer
from rootpeers import SoftTpm
from support import require_module, require_program


@pytest.fixture(scope="session")
def tpm(tmp_path_factory):
    """A TPM of software."""
    require_program("swtpm")
    require_module("tpm2_pytss")
    started = SoftTpm(tmp_path_factory.mktemp("tpm"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory, tpm):
    """A server with a TPM, over TLS."""
    with AttestedServer(tmp_path_factory.mktemp("server"), tpm) as started:
        yield started
