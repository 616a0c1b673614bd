"""The command line: evidence shown, judged, and made into a policy; secrets only after that."""

import json
import os
import subprocess

import pexpect
import pytest

from servers import BIN


@pytest.fixture
def adyton(server, tmp_path):
    def run(*args, code=0, **env):
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("ADYTON_", "BAO_"))}
        done = subprocess.run(
            [BIN / "adyton", *args], capture_output=True, text=True, check=False, cwd=tmp_path,
            env={**plain, "ADYTON_CACERT": str(server.ca), "HOME": str(tmp_path), **env},
        )  # fmt: skip
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    return run


def test_from_a_proposal_to_acceptance(server, adyton, tmp_path):
    """A policy that is written from a server accepts nothing until it is reviewed."""
    file = tmp_path / "policy.toml"
    adyton("attest", "policy", server.addr, "--out", file)
    text = file.read_text()
    assert server.claims().facts["ak"] in text
    adyton("attest", "policy", server.addr, "--out", file, code=2)
    assert file.read_text() == text
    done = adyton("attest", "verify", server.addr, "--policy", file, "-o", "json", code=10)
    assert json.loads(done.stderr)["rule"] == "unreviewed"
    file.write_text(text.replace("reviewed = false", "reviewed = true"))
    done = adyton("attest", "verify", server.addr, "--policy", file)
    assert server.claims().facts["ak"] in done.stdout
    told = json.loads(
        adyton("attest", "verify", server.addr, "--policy", file, "-o", "json").stdout
    )
    assert (told["accepted"], told["authentic"], told["platform"]) == (True, True, "tpm")
    assert told["pcrs"] == dict(server.claims().pcrs)


def test_facts_fit_a_terminal_of_80_columns(server, tmp_path):
    """Long ones are folded inside their column, and none is cut."""
    file = tmp_path / "policy.toml"
    file.write_text(server.policy())
    command = f"{BIN}/adyton attest verify {server.addr} --policy {file}"
    env = {**os.environ, "ADYTON_CACERT": str(server.ca), "NO_COLOR": "1", "TERM": "dumb"}
    env.pop("COLUMNS", None)
    told, code = pexpect.run(
        command, env=env, dimensions=(24, 80), withexitstatus=True, encoding="utf-8"
    )
    assert code == 0, told
    lines = told.splitlines()
    assert max(map(len, lines)) <= 80
    column = lines[0].index("VALUE")
    values = "".join(line[column:].strip() for line in lines[1:])
    assert server.claims().facts["ak"] in values


def test_what_is_refused(server, adyton, tmp_path):
    """The exit code is 10, and the rule is named; a policy that is none is wrong input."""
    file = tmp_path / "policy.toml"
    file.write_text(server.policy(pcr16="ab" * 32))
    done = adyton("attest", "verify", server.addr, "--policy", file, "-o", "json", code=10)
    assert json.loads(done.stderr)["rule"] == "pcrs"
    file.write_text("nonsense = 1")
    adyton("attest", "verify", server.addr, "--policy", file, code=2)
    adyton("attest", "verify", server.addr, "--policy", tmp_path / "none", code=2)
    adyton("attest", "verify", "https://127.0.0.1:1", "--policy", file, code=2)
    file.write_text("version = 1")
    adyton("attest", "verify", "https://127.0.0.1:1", "--policy", file, code=9)


def test_show(server, adyton):
    """Facts as a table and as JSON; nothing is judged."""
    done = adyton("attest", "show", server.addr)
    assert server.claims().facts["ak"] in done.stdout
    assert "nothing was judged" in done.stderr
    told = json.loads(adyton("attest", "show", server.addr, "-o", "json").stdout)
    assert (told["authentic"], told["rule"]) == (True, "")
    assert "accepted" not in told


def test_every_command_obeys_a_policy_of_the_environment(server, adyton, tmp_path):
    """ADYTON_ATTEST: secrets are written to a server that is accepted, and to no other."""
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(server.policy())
    bad.write_text(server.policy(ak="000b" + "ab" * 32))
    env = {"ADYTON_ADDR": server.addr, "ADYTON_TOKEN": server.token}
    adyton("list", ADYTON_ATTEST=str(good), **env)
    done = adyton("list", "-o", "json", code=10, ADYTON_ATTEST=str(bad), **env)
    assert json.loads(done.stderr)["rule"] == "ak"
    adyton("list", code=2, ADYTON_ATTEST=str(tmp_path / "none"), **env)


def test_no_share_goes_to_a_server_that_is_refused(adyton, tmp_path, tpm):
    """`adyton unseal` of a sealed server obeys the policy before it sends a share."""
    from attest.serving import AttestedServer

    with AttestedServer(tmp_path, tpm) as server:
        policy, share = tmp_path / "p.toml", tmp_path / "share"
        policy.write_text(server.policy(pcr16="ab" * 32))
        share.write_text("a share of somebody\n")
        share.chmod(0o600)
        env = {"ADYTON_ADDR": server.addr, "ADYTON_ATTEST": str(policy),
               "ADYTON_CACERT": str(server.ca)}  # fmt: skip
        done = adyton("unseal", "--share-file", share, "-o", "json", code=10, **env)
        assert json.loads(done.stderr)["rule"] == "pcrs"
