"""A user's own root in a device or a service of the user's, against a real server.

The device is used beside the client alone; what the server gets is a key for a time.
"""

import asyncio
import contextlib
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from adyton.client import AsyncClient, Client
from adyton.errors import RootUnavailable, UserRootAway, UserRootRefused
from adyton.roots import open_root, transit
from adyton.userroots import open_user_root
from natives import token_of
from ownroots import own
from rootpeers import BAO_TOKEN, SoftTpm
from servers import TOKEN, Server
from shell import Shell

ALL = 'path "*" { capabilities = ["create","read","update","delete","list","patch"] }\n'
KINDS = ("pkcs11", "tpm2", "transit", "awskms")


@pytest.fixture(scope="module")
def server():
    server = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield server
    code, out, err = server.stop()
    assert code == 0, err
    assert BAO_TOKEN not in out + err


class Hsm:
    """Two tokens of SoftHSM."""

    def __init__(self, softhsm):
        self.tokens = softhsm.tokens
        self.uris = [softhsm.uri("one", "a-users"), softhsm.uri("two", "a-users")]

    @contextlib.contextmanager
    def away(self, root):
        """Pulled out of the machine."""
        from adyton.roots import _hsm

        drawer = self.tokens.with_name("drawer")
        shutil.move(self.tokens, drawer)
        self.tokens.mkdir()
        with _hsm._lock:
            root._hsm._session.close()
        try:
            yield
        finally:
            self.tokens.rmdir()
            shutil.move(drawer, self.tokens)


class Tpms:
    """Two TPMs, of two machines."""

    def __init__(self, one, two):
        self.one = one
        self.uris = [f"tpm2:?pcrs=sha256:7+11&tcti={each.tcti}" for each in (one, two)]

    @contextlib.contextmanager
    def away(self, _):
        """Powered off."""
        self.one.stop()
        try:
            yield
        finally:
            self.one.start()


class Transit:
    """Two keys of OpenBao."""

    def __init__(self, bao, token_file):
        self.bao = bao
        keys = [bao.key(f"users-{secrets.token_hex(4)}") for _ in range(2)]
        self.uris = [f"transit:{key}?token_file={token_file}" for key in keys]

    @contextlib.contextmanager
    def away(self, _):
        """Sealed."""
        self.bao.seal()
        try:
            yield
        finally:
            self.bao.unseal()


class Kms:
    """Two keys of a service like AWS KMS."""

    def __init__(self, uris):
        self.uris = uris

    @contextlib.contextmanager
    def away(self, root):
        """The network is cut."""
        from adyton.roots import awskms

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(awskms, "_TRIES", 1)
            patch.setattr(root._client, "_endpoint", _Cut(root._client._endpoint))
            yield


class _Cut:
    def __init__(self, real):
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

    def make_request(self, *_):
        from botocore.exceptions import EndpointConnectionError

        raise EndpointConnectionError(endpoint_url="cut")


@pytest.fixture
def own_tpm(tmp_path, tpm):
    """A TPM of the test's own, whose state it may change."""
    assert tpm
    started = SoftTpm(tmp_path / "tpm")
    yield started
    started.stop()


@pytest.fixture(params=KINDS)
def device(request, tmp_path, monkeypatch):
    """What the user has."""
    fixture = request.getfixturevalue
    monkeypatch.setattr(transit, "_PAUSE", 0.01)
    if request.param == "pkcs11":
        made = Hsm(fixture("softhsm"))
    elif request.param == "tpm2":
        made = Tpms(fixture("own_tpm"), fixture("tpm"))
    elif request.param == "transit":
        made = Transit(fixture("bao"), fixture("token_file"))
    else:
        fixture("as_aws")
        made = Kms(fixture("aws_keys"))
    made.kind = request.param
    return made


@pytest.fixture
def roots(device):
    """The user's root, opened anew at each call; and another of the kind."""
    with contextlib.ExitStack() as stack:

        def at(which):
            root = open_root(device.uris[which], create=True)
            stack.callback(root.close)
            return root

        yield at


@pytest.fixture
def user(server):
    """A user's token, and a secret of theirs."""
    name = "u" + secrets.token_hex(4)
    token = token_of(server, name, ALL)
    with Client(server.addr, token) as client:
        client.set_secret("me", "a", "value")
        yield name, token, client


def closed(client):
    with pytest.raises(UserRootAway):
        client.get_secret("me", "a")
    return True


def test_it_opens_the_users_secrets_and_nothing_else_of_the_kind_does(device, roots, user):
    """Set, taken away, given by the device opened anew, refused to another device."""
    name, _, client = user
    info = client.user_roots.set("me", roots(0))
    assert ([one.kind for one in info.roots], info.given) == ([device.kind], True)
    assert client.get_secret("me", "a").text() == "value"
    client.user_roots.take("me")
    assert closed(client)
    with pytest.raises(UserRootRefused):
        client.user_roots.give("me", roots(1))
    assert closed(client)
    assert client.user_roots.give("me", roots(0)).given
    assert client.get_secret("me", "a").text() == "value"
    client.user_roots.take("me")
    # What it wrapped is bound to this user, this store and this root key.
    for other in (
        info._replace(user=name + "x"),
        info._replace(store=bytes(16)),
        info._replace(root=bytes(16)),
    ):
        with pytest.raises(UserRootRefused):
            open_user_root(other, roots(0))
    wrapped = info.roots[0].wrapped
    for at in range(0, len(wrapped), max(1, len(wrapped) // 25)):
        changed = wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]
        with pytest.raises(UserRootRefused):
            open_user_root(
                info._replace(roots=(info.roots[0]._replace(wrapped=changed),)), roots(0)
            )


def test_many_give_it_at_once(server, roots, user):
    """By one open root in threads, and by an asynchronous client: each is answered."""
    _, token, client = user
    root = roots(0)
    client.user_roots.set("me", root)
    client.user_roots.take("me")
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(lambda _: client.user_roots.give("me", root), range(8)))
    assert all(info.given for info in given)

    async def alike():
        async with AsyncClient(server.addr, token) as other:
            await other.user_roots.take("me")
            given = await asyncio.gather(*(other.user_roots.give("me", root) for _ in range(4)))
            with await other.get_secret("me", "a") as secret:
                return [info.given for info in given], secret.text()

    assert asyncio.run(alike()) == ([True] * 4, "value")


def test_a_device_that_is_away_gives_nothing_until_it_is_back(device, roots, user):
    """The user stays closed meanwhile; another root that opens them still does."""
    _, _, client = user
    root, safe = roots(0), own("the one in the safe")
    client.user_roots.set("me", root, recovery=[safe])
    client.user_roots.take("me")
    with device.away(root):
        with pytest.raises(RootUnavailable):
            client.user_roots.give("me", root)
        assert closed(client)
        client.user_roots.give("me", safe)
        assert client.get_secret("me", "a").text() == "value"
        client.user_roots.take("me")
    client.user_roots.give("me", root)
    assert client.get_secret("me", "a").text() == "value"


def test_from_one_device_to_another(roots, user):
    """One more, one less, another one, none."""
    _, _, client = user
    client.user_roots.set("me", own())
    client.user_roots.take("me")
    info = client.user_roots.add("me", own(), roots(0))
    assert [one.slot for one in info.roots] == [0, 1]
    client.user_roots.drop("me", roots(0), 0)
    with pytest.raises(UserRootRefused):
        client.user_roots.give("me", own())
    client.user_roots.change("me", roots(0), roots(1))
    client.user_roots.take("me")
    with pytest.raises(UserRootRefused):
        client.user_roots.give("me", roots(0))
    client.user_roots.give("me", roots(1))
    assert client.get_secret("me", "a").text() == "value"
    client.user_roots.take("me")
    client.user_roots.remove("me", roots(1))
    assert client.get_secret("me", "a").text() == "value"


def test_a_machine_in_another_state_refuses_its_user(own_tpm, user):
    """Once other software was started, the TPM gives nothing; the recovery root still does."""
    _, _, client = user
    root = open_root(f"tpm2:?pcrs=sha256:7+11&tcti={own_tpm.tcti}")
    client.user_roots.set("me", root, recovery=[own()])
    client.user_roots.take("me")
    own_tpm.extend(11)
    with pytest.raises(UserRootRefused, match=r"PCR|state"):
        client.user_roots.give("me", root)
    assert closed(client)
    client.user_roots.give("me", own())
    assert client.get_secret("me", "a").text() == "value"
    root.close()


@pytest.mark.parametrize("device", ["pkcs11", "tpm2", "transit"], indirect=True)
def test_the_command_line(device, server, user, tmp_path):
    """Each command is a process of its own, which opens the device anew."""
    _, token, client = user
    shell = Shell(tmp_path)
    shell.env |= {"ADYTON_ADDR": server.addr, "ADYTON_TOKEN": token}
    shell.env.pop("ADYTON_USER", None)
    one, two = device.uris
    if device.kind == "transit":
        # A token in the environment serves all roots of a command.
        shell.env["ADYTON_TRANSIT_TOKEN"] = BAO_TOKEN
        one, two = (uri.partition("?")[0] for uri in (one, two))
        here = {"ADYTON_ADDR": "", "ADYTON_ROOT": one}
        shell("init", **here)
        shell("root", "migrate", two, **here)
    shell("user", "root", "set", one, "--recovery", f"keyfile:{tmp_path}/safe.key", "--yes")
    client.user_roots.take("me")
    shell("user", "root", "give", one, "--for", "10m")
    assert client.get_secret("me", "a").text() == "value"
    info = client.user_roots.show("me")
    assert [each.kind for each in info.roots] == [device.kind, "keyfile"]
    told = str([each.described for each in info.roots])
    assert "pin" not in told.lower()
    assert str(tmp_path / "token") not in told
    client.user_roots.take("me")
    shell("user", "root", "change", one, two, "--yes")
    assert client.get_secret("me", "a").text() == "value"
