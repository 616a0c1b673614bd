"""The built-in roots, each as a way to open the same one again and again."""

import logging
from typing import NamedTuple

import pyrage
import pytest

from adyton.crypto.gathering import Gathering
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import parse
from adyton.roots import open_root
from adyton.roots.age import AgeRoot
from adyton.roots.credential import CredentialRoot
from adyton.roots.dev import DevRoot
from adyton.roots.gramine import GramineRoot
from adyton.roots.keyfile import KeyFileRoot
from adyton.roots.passphrase import TEST_PARAMS, PassphraseRoot
from adyton.roots.shamir import ShamirRoot
from rootpeers import SoftTpm

ALL = (
    "keyfile", "passphrase", "dev", "shamir", "age", "credential", "gramine", "transit", "awskms",
    "pkcs11", "tpm2",
)  # fmt: skip


class Kind(NamedTuple):
    """A kind of root under test."""

    name: str
    reopen: object
    other: object


def _another_tpm(fixture, tmp_path):
    started = SoftTpm(tmp_path / "another")
    fixture("request").addfinalizer(started.stop)
    return open_root(f"tpm2:?pcrs=sha256:7+11&tcti={started.tcti}")


def _elsewhere(name, request, tmp_path):
    """Roots whose key is given by something outside."""
    fixture = request.getfixturevalue
    if name == "age":
        identities = [pyrage.x25519.Identity.generate() for _ in range(2)]

        def opened(identity):
            return AgeRoot(SecretBytes(f"# test\n{identity}\n".encode()))

        return Kind(name, lambda: opened(identities[0]), lambda: opened(identities[1]))
    if name == "credential":
        for key in ("one", "two"):
            (tmp_path / key).write_bytes(SecretBytes.random(32).reveal())
            (tmp_path / key).chmod(0o400)
        fixture("monkeypatch").setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        return Kind(name, lambda: CredentialRoot("one"), lambda: CredentialRoot("two"))
    if name == "gramine":
        for key in ("mrenclave", "mrsigner"):
            (tmp_path / f"_sgx_{key}").write_bytes(SecretBytes.random(16).reveal())
        return Kind(
            name,
            lambda: GramineRoot("mrenclave", keys=tmp_path),
            lambda: GramineRoot("mrsigner", keys=tmp_path),
        )
    if name == "transit":
        bao, file = fixture("bao"), fixture("token_file")
        urls = [f"transit:{bao.key(key)}?token_file={file}" for key in ("first", "second")]
        return Kind(name, lambda: open_root(urls[0]), lambda: open_root(urls[1]))
    if name == "tpm2":
        tpm = fixture("tpm")
        uri = f"tpm2:?pcrs=sha256:7+11&tcti={tpm.tcti}"
        return Kind(name, lambda: open_root(uri), lambda: _another_tpm(fixture, tmp_path))
    if name == "pkcs11":
        uris = [fixture("softhsm").uri(label) for label in ("one", "two")]
        return Kind(
            name,
            lambda: open_root(uris[0], create=True),
            lambda: open_root(uris[1], create=True),
        )
    fixture("as_aws")
    arns = fixture("aws_keys")
    return Kind(name, lambda: open_root(arns[0]), lambda: open_root(arns[1]))


@pytest.fixture
def quiet():
    """No warnings in the log: the dev root is loud."""
    logging.getLogger("adyton").setLevel(logging.ERROR)
    yield
    logging.getLogger("adyton").setLevel(logging.NOTSET)


@pytest.fixture(params=ALL)
def kind(request, tmp_path, quiet):
    """``reopen()`` opens the same root again, ``other()`` makes a different one of that kind."""
    if request.param == "keyfile":
        path = tmp_path / "master.key"
        KeyFileRoot.create(path).close()
        made = Kind(
            "keyfile", lambda: KeyFileRoot(path), lambda: KeyFileRoot.create(tmp_path / "2")
        )
    elif request.param == "passphrase":
        made = Kind(
            "passphrase",
            lambda: PassphraseRoot("correct horse battery", params=TEST_PARAMS),
            lambda: PassphraseRoot("correct horse batterz", params=TEST_PARAMS),
        )
    elif request.param == "shamir":
        first, shares = ShamirRoot.create(2, 3)
        known = first.known

        def reopen():
            gathering = Gathering([known])
            for share in shares[1:]:
                gathering.enter(parse(share.hex().encode()))
            with gathering.key(known) as combined:
                return ShamirRoot.of_key(combined, known)

        made = Kind("shamir", reopen, lambda: ShamirRoot.create(2, 3)[0])
    elif request.param != "dev":
        made = _elsewhere(request.param, request, tmp_path)
    else:
        key = SecretBytes.random(32)
        made = Kind("dev", lambda: DevRoot(key), DevRoot)
    return made


@pytest.fixture
def root(kind):
    """One open root."""
    opened = kind.reopen()
    yield opened
    opened.close()
