"""Documents on their way: what opens them for people never travels."""

import base64
import datetime as dt
import json

import pytest

from adyton import Client
from adyton.errors import InvalidDocument, InvalidInput
from adyton.transfer import single_version
from adyton.transfer.bundle import one_use_key, read_bundle, readdress_bundle, write_bundle
from client.hostile import answer

NOW = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
SECRET = single_version("a/b", b"value", "text/plain", now_us=1)
REPORT = answer(200, {"created": ["a"], "replaced": [], "new_versions": [], "skipped": [],
                      "dry_run": False})  # fmt: skip


def test_an_export_under_a_passphrase_asks_for_another_key(hostile):
    """The server is given a recipient of one use; the passphrase is in no request."""
    found = []

    def export(connection):
        recipient = json.loads(server.requests[-1][3])["recipients"][0]
        found.append(recipient)
        bundle = write_bundle([SECRET], recipients=[recipient], now=NOW)
        data = base64.b64encode(bundle).decode()
        connection.sendall(answer(200, {"format": "bundle", "data": data}))

    server = hostile(export)
    ours = Client(server.addr, "t")
    bundle = ours.export_secrets(1, passphrase="canary-phrase")
    assert read_bundle(bundle, passphrase="canary-phrase")[0].name == "a/b"
    assert len(found) == 1
    assert b"canary-phrase" not in b"".join(body for *_, body in server.requests)
    with pytest.raises(InvalidInput):
        ours.export_secrets(1, recipients=[found[0]], passphrase="canary-phrase")
    assert len(server.requests) == 1


def test_an_import_sends_neither_identity_nor_passphrase(faces, hostile):
    """The bundle that is sent opens by the key beside it, and that opens nothing else."""
    server = hostile(REPORT)
    ours = faces.client(server.addr, "t")
    identity, recipient = one_use_key()
    bundle = write_bundle([SECRET], recipients=[recipient], now=NOW)
    assert ours.import_secrets(1, bundle, identities=[identity]).created == ("a",)
    sent = json.loads(server.requests[-1][3])
    assert identity not in server.requests[-1][3].decode()
    data = base64.b64decode(sent["data"])
    assert read_bundle(data, identities=sent["identities"])[0].name == SECRET.name
    with pytest.raises(InvalidDocument):
        read_bundle(bundle, identities=sent["identities"])
    for wrong in ({}, {"identities": [identity], "passphrase": "x"}, {"identities": ["x"]}):
        with pytest.raises(InvalidInput):
            ours.import_secrets(1, bundle, **wrong)
    with pytest.raises(InvalidDocument):
        ours.import_secrets(1, bundle[:-1], identities=[identity])
    assert len(server.requests) == 1


def test_a_bundle_is_readdressed_without_being_read():
    """What is in it stays byte for byte; another key opens it, and the former no more."""
    first, second = one_use_key(), one_use_key()
    bundle = write_bundle([SECRET], recipients=[first[1]], now=NOW)
    moved = readdress_bundle(bundle, identities=[first[0]], recipients=[second[1]])
    assert read_bundle(moved, identities=[second[0]]) == read_bundle(bundle, identities=[first[0]])
    with pytest.raises(InvalidDocument):
        read_bundle(moved, identities=[first[0]])
