"""Services and devices that roots of trust use: one of each in a run, started when asked for."""

import os

import pytest

from rootpeers import AWS_ENV, BAO_TOKEN, Bao, Moto, SoftHsm, SoftTpm
from support import require_module, require_program


@pytest.fixture(scope="session")
def bao(tmp_path_factory):
    """A real OpenBao."""
    started = Bao(tmp_path_factory.mktemp("bao"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """A server with the shape of AWS KMS."""
    started = Moto(tmp_path_factory.mktemp("moto"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def tpm(tmp_path_factory):
    """A TPM of software for tests that leave its state as it was."""
    require_program("swtpm")
    require_module("tpm2_pytss")
    started = SoftTpm(tmp_path_factory.mktemp("tpm"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory):
    """Two tokens of SoftHSM; the module is loaded once in a process, and keeps its folder."""
    require_program("softhsm2-util")
    made = SoftHsm(tmp_path_factory.mktemp("softhsm"))
    os.environ.update(made.env)
    for label in ("one", "two"):
        made.token(label)
    return made


@pytest.fixture(scope="session")
def aws_keys(moto):
    """Two keys there, as URIs."""
    return [f"awskms:{moto.key()}" for _ in range(2)]


@pytest.fixture
def token_file(tmp_path):
    """The transit token in a private file."""
    path = tmp_path / "token"
    path.write_text(BAO_TOKEN + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def as_aws(monkeypatch):
    """Credentials that moto takes."""
    for name, value in AWS_ENV.items():
        monkeypatch.setenv(name, value)
