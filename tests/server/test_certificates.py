"""Files of TLS as they are read: whatever is in them, taken whole or refused by an error."""

import base64
import contextlib
import datetime as dt
import os
import ssl
import subprocess
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adyton.config import TlsSettings
from adyton.errors import ConfigurationError
from adyton.server.certificates import read, stamp, try_out
from certs import certificate


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pems")
    authority = certificate(folder, "ca", is_ca=True)
    certificate(folder, "server", issuer=authority)
    return folder


def named(folder, name="server", ca="ca"):
    return TlsSettings(
        cert=folder / f"{name}.pem", key=folder / f"{name}.key", client_ca=folder / f"{ca}.pem"
    )


def open_files():
    return len(os.listdir("/proc/self/fd"))


def test_what_was_read_stays_when_the_files_change(files, tmp_path):
    """The paths name memory: the content of that moment, with its fingerprint and its end."""
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = open_files()
    found = read(named(tmp_path))
    for path in tmp_path.iterdir():
        path.write_text("something else")
    for at, name in (
        (found.cert_path, "server.pem"), (found.key_path, "server.key"),
        (found.client_ca_path, "ca.pem"),
    ):  # fmt: skip
        with open(at, "rb") as file:
            assert file.read() == (files / name).read_bytes()
    made = x509.load_pem_x509_certificate((files / "server.pem").read_bytes())
    assert found.not_after == made.not_valid_after_utc > dt.datetime.now(dt.UTC)
    assert "key" not in repr(found)
    found.close()
    found.close()
    assert open_files() == before


def test_the_digest_tells_another_content(files, tmp_path):
    """Of any of the three files, and nothing but the content."""
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    at = named(tmp_path)
    first = read(at)
    again = read(at)
    (tmp_path / "ca.pem").write_bytes((files / "ca.pem").read_bytes() * 2)
    second = read(at)
    third = read(replace(at, client_ca=None))
    assert first.digest == again.digest
    assert len({first.digest, second.digest, third.digest}) == 3
    for found in (first, again, second, third):
        found.close()


@settings(
    max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    which=st.sampled_from(["server.pem", "server.key", "ca.pem"]),
    at=st.floats(0, 1, exclude_max=True),
    put=st.binary(max_size=4),
    skip=st.integers(0, 40),
    inside=st.booleans(),
)
def test_damaged_files_are_refused_by_an_error_of_ours(
    files, tmp_path, which, at, put, skip, inside
):
    """Cut and changed at any place, in the PEM or in what it holds: nothing else comes out."""
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (files / which).read_bytes()
    if inside:
        first, *middle, last = text.strip().splitlines()
        der = base64.b64decode(b"".join(middle))
        place = int(at * len(der))
        der = der[:place] + put + der[place + skip :]
        text = b"\n".join([first, base64.b64encode(der), last, b""])
    else:
        place = int(at * len(text))
        text = text[:place] + put + text[place + skip :]
    (tmp_path / which).write_bytes(text)
    before = open_files()
    with contextlib.suppress(ConfigurationError):
        read(named(tmp_path)).close()
    assert open_files() == before


def test_a_certificate_for_no_point_of_its_curve_is_refused(files, tmp_path):
    """It parses, and its public key does not."""
    made = x509.load_pem_x509_certificate((files / "server.pem").read_bytes())
    point = made.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    der = made.public_bytes(serialization.Encoding.DER)
    der = der.replace(point, point[:-1] + bytes([point[-1] ^ 1]))
    (tmp_path / "odd.pem").write_text(ssl.DER_cert_to_PEM_cert(der))
    with pytest.raises(ConfigurationError, match=r"odd\.pem holds no certificate"):
        read(replace(named(files), cert=tmp_path / "odd.pem"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP521R1()),
        lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
        lambda: rsa.generate_private_key(65537, 1024),
        ed448.Ed448PrivateKey.generate,
        lambda: dsa.generate_private_key(2048),
    ],
)
def test_keys_that_the_http_server_does_not_take_are_refused_by_trying(tmp_path, make):
    """Each would end the process that serves by it; the trial ends instead."""
    certificate(tmp_path, "odd", key=make())
    found = read(replace(named(tmp_path, "odd"), client_ca=None))
    with pytest.raises(ConfigurationError, match="does not take"):
        try_out(found)
    found.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
    ],
)
def test_keys_that_it_takes(tmp_path, make):
    """All kinds that the guide names, in each of the forms of PEM that are in use."""
    key = make()
    certificate(tmp_path, "good", key=key)
    at = replace(named(tmp_path, "good"), client_ca=None)
    for form in ("PKCS8", "TraditionalOpenSSL"):
        if form != "PKCS8" and isinstance(key, ed25519.Ed25519PrivateKey):
            continue
        (tmp_path / "good.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                getattr(serialization.PrivateFormat, form),
                serialization.NoEncryption(),
            )
        )
        found = read(at)
        try_out(found)
        found.close()


def test_what_is_no_pair_is_told_by_its_file(files, tmp_path):
    """A key with a passphrase, one for something else, too much, nothing, and no file."""
    at = named(files)
    key = serialization.load_pem_private_key((files / "server.key").read_bytes(), None)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    none = serialization.NoEncryption()
    for content in (
        key.private_bytes(pem, form, serialization.BestAvailableEncryption(b"secret")),
        x25519.X25519PrivateKey.generate().private_bytes(pem, form, none),
        b"",
        b"#" * 2_000_000,
    ):
        (tmp_path / "odd.key").write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"odd\.key"):
            read(replace(at, key=tmp_path / "odd.key"))
    for name in ("cert", "key", "client_ca"):
        with pytest.raises(ConfigurationError, match="/none"):
            read(replace(at, **{name: tmp_path / "none"}))
        with pytest.raises(ConfigurationError, match=str(tmp_path)):
            read(replace(at, **{name: tmp_path}))


def test_a_trial_that_cannot_be_held_refuses(files, monkeypatch):
    """No answer is no leave to serve."""
    found = read(named(files))
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(ConfigurationError, match="could not be tried out"):
        try_out(found)
    found.close()


def test_the_stamp_sees_each_way_to_replace_a_file(files, tmp_path):
    """Written in place, renamed over, another link, gone."""
    cert, key = tmp_path / "a.pem", tmp_path / "a.key"
    cert.write_bytes((files / "server.pem").read_bytes())
    key.symlink_to(files / "server.key")
    at = TlsSettings(cert=cert, key=key)
    seen = [stamp(at)]
    assert stamp(at) == seen[0]
    subprocess.run(["touch", cert], check=True)
    seen.append(stamp(at))
    (tmp_path / "b.pem").write_bytes(cert.read_bytes())
    (tmp_path / "b.pem").rename(cert)
    seen.append(stamp(at))
    key.unlink()
    seen.append(stamp(at))
    key.symlink_to(files / "ca.key")
    seen.append(stamp(at))
    assert len(set(seen)) == len(seen)
