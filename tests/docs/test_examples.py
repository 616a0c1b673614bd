"""What README.md and the guides tell people to type works as it stands.

Python blocks are run. Indented blocks of commands are run where a server or a store is enough for
it; every line that calls ``adyton``, there and inside sentences, must at least parse.
"""

import base64
import json
import os
import re
import shlex
import shutil
import subprocess

import pyrage
import pytest
import typer

from adyton.cli.main import app, hoist
from adyton.crypto.secretbytes import SecretBytes
from servers import BIN, TOKEN
from shell import ROOT, Remote

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guide").glob("*.md"))]
IDENTITY = pyrage.x25519.Identity.generate()
CAPABILITIES = ["create", "read", "update", "delete", "list", "sudo", "patch"]
SERVER = "https://vault.example:8200"


def python_blocks():
    for page in PAGES:
        for number, found in enumerate(
            re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        ):
            yield pytest.param(found, id=f"{page.name}-{number}")


def command_block(page, first):
    """The indented block whose first line begins so, without the remarks beside its commands."""
    lines = (ROOT / page).read_text().splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith(f"    {first}"))
    block = []
    for line in lines[begin:]:
        if line and not line.startswith("    "):
            break
        block.append(command_of(line))
    return "\n".join(block)


def command_of(line):
    """A line without its indentation, and without what is said of it behind two blanks."""
    text = line.removeprefix("    ")
    return text if text.startswith(" ") else re.split(r"\s{2,}(?=\S)", text)[0]


def adyton_commands():
    """Each call of ``adyton`` in a block (whole) or in a sentence (maybe without its arguments)."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for line in text.splitlines():
            if line.startswith("    "):
                for part in re.split(r"&&|\|\|?(?! --)", command_of(line)):
                    words = re.sub(r"^(\$run )|\[.*?\]|\$\(.*?\)| > \S+$", "", part.strip())
                    if words.startswith("adyton "):
                        yield pytest.param(words, True, id=f"{page.name}: {words}")
        sentences = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
        for quoted in re.findall(r"`(adyton [^`]*)`", sentences):
            words = " ".join(quoted.split())
            yield pytest.param(words, False, id=f"{page.name}: `{words}`")


@pytest.mark.parametrize(("words", "whole"), list(adyton_commands()))
def test_commands_parse(words, whole):
    """Commands and options are there, and take what is given."""
    left = hoist([each for each in shlex.split(words)[1:] if each != "..."])
    command = typer.main.get_command(app)
    context = command.make_context("adyton", left, resilient_parsing=not whole)
    while hasattr(command, "commands"):
        left = [*context._protected_args, *context.args]
        if not left:
            assert not whole
            return
        name, found, left = command.resolve_command(context, left)
        assert found is not None, name
        context = found.make_context(name, left, parent=context, resilient_parsing=not whole)
        command = found
    if not whole:
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        assert {each.split("=")[0] for each in left if each.startswith("--")} <= known | {"--"}


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """A server with what the examples take for granted: namespaces, a policy, log-ins."""
    shell = Remote(tmp_path_factory.mktemp("examples"))
    rules = json.dumps({"path": {"*": {"capabilities": CAPABILITIES}}})
    for space in ("root", "alice"):
        own = {"headers": {"X-Vault-Namespace": space}, "token": TOKEN}

        def ask(method, path, body=None, own=own):
            status, _, answer = shell.server.raw(method, f"/v1/{path}", body, **own)
            assert status in {200, 204}, answer
            return answer

        ask("PUT", "sys/policies/acl/admin", {"policy": rules})
        for method in ("userpass", "approle"):
            ask("POST", f"sys/auth/{method}", {"type": method})
        ask(
            "POST",
            "auth/userpass/users/ann",
            {"password": "ann's", "token_policies": ["admin", "app"]},
        )
        ask("POST", "auth/approle/role/bot", {"token_policies": ["admin", "app"]})
        shell.role_id = ask("GET", "auth/approle/role/bot/role-id")["data"]["role_id"]
        shell.secret_id = ask("POST", "auth/approle/role/bot/secret-id")["data"]["secret_id"]
    yield shell
    code, _, err = shell.server.stop()
    assert code == 0, err


def placed(text, remote):
    """An example with what is here in place of what stands for it."""
    for stands, real in {
        SERVER: remote.server.addr,
        "age1...": str(IDENTITY.to_public()),
        "AGE-SECRET-KEY-1...": str(IDENTITY),
        "BAO_TOKEN=adt_...": f"BAO_TOKEN={TOKEN}",
        "http://127.0.0.1:8200": remote.server.addr,
        "/elsewhere/": "elsewhere/",
    }.items():
        text = text.replace(stands, real)
    return text


@pytest.mark.parametrize("block", list(python_blocks()))
def test_python_runs(block, remote, tmp_path, monkeypatch):
    """Each block by itself, with the names that it leaves to its reader.

    Evidence needs a machine that gives some: ``tests/attest/test_client.py`` runs that; dynamic
    credentials a database: ``tests/dynamic/test_faces.py``.
    """
    if "attestation=" in block or "client.dynamic" in block:
        compile(block, "example", "exec")
        return
    from adyton import Client

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ADYTON_TOKEN", TOKEN)
    passwords = []
    with Client(remote.server.addr, TOKEN) as client:
        names = {
            "Client": Client,
            "addr": remote.server.addr,
            "client": client,
            "connect": lambda password: passwords.append(password),  # noqa: PLW0108 - by keyword
            "kept": client.audit.checkpoint(),
            "password": "ann's",
            "role_id": remote.role_id,
            "secret_id": remote.secret_id,
        }
        names["ask_for_one_share"] = lambda _prompt: SecretBytes(
            names["shares"].pop().text().encode()
        )
        exec(placed(block, remote), names)
        names["client"].close()
    assert ("connect(" in block) == (passwords == ["correct horse"])


def bash(block, folder, stdin="", **env):
    """Run a block as it would be typed; the first command that fails ends it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ADYTON_", "BAO_", "VAULT_"))}
    done = subprocess.run(
        ["bash", "-euc", block],
        input=stdin, cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env={**kept, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), **env},
    )  # fmt: skip
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return done.stdout


def test_the_shell_section_of_the_readme(remote, tmp_path):
    """From an empty folder to a store, a program with its secrets, a bundle, a checkpoint."""
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(ROOT / "examples/dotenv/app.env", tmp_path / ".env")
    (tmp_path / "server").write_text('#!/bin/sh\necho "stripe is $STRIPE_SECRET_KEY"\n')
    (tmp_path / "server").chmod(0o755)
    block = placed(command_block("README.md", "adyton init  "), remote)
    told = bash(block, tmp_path, stdin="correct horse\n")
    assert "correct horse" in told
    assert "stripe is sk_example" in told
    opened = pyrage.decrypt((tmp_path / "backup.age").read_bytes(), [IDENTITY])
    assert base64.b64encode(b"correct horse") in opened or b"correct horse" in opened


def test_bao_as_in_the_readme(remote, tmp_path):
    """Its commands against the development server."""
    block = placed(command_block("README.md", "export BAO_ADDR"), remote)
    assert "world" in bash(block, tmp_path)


@pytest.mark.parametrize("page", ["README.md", "docs/guide/cli.md"])
def test_the_command_line_on_a_server(page, remote, tmp_path):
    """A login, and what follows it; values and passwords come from standard input here."""
    block = placed(command_block(page, "export ADYTON_ADDR"), remote)
    block = block.replace("--name ann", '--name ann <<< "ann\'s"')
    block = block.replace("set db/password", "set db/password <<< 'correct horse'")
    if "set db/password" not in block:
        remote("set", "db/password", "--user", "root", stdin="correct horse")
    assert "correct horse" in bash(block, tmp_path)


def test_the_native_api_by_curl(remote, tmp_path):
    """The four requests of the guide; what they answer is JSON."""
    block = placed(command_block("docs/guide/server.md", 'H="X-Vault-Token'), remote)
    block = block.replace("curl ", "curl -sS --fail-with-body -w '\\n' ")
    env = {"BAO_ADDR": remote.server.addr, "BAO_TOKEN": TOKEN}
    answers = [json.loads(line) for line in bash(block, tmp_path, **env).splitlines() if line]
    assert answers[1]["value"]["data"] == "correct horse"
    assert [item["name"] for item in answers[2]["items"]] == ["app/db"]


@pytest.mark.parametrize("first", ["bao token create -namespace=alice", "bao write sys/quotas"])
def test_bao_as_in_the_guide(first, remote, tmp_path):
    """Commands of the operator."""
    env = {"BAO_ADDR": remote.server.addr, "BAO_TOKEN": TOKEN}
    assert bash(command_block("docs/guide/server.md", first), tmp_path, **env)


def test_a_development_certificate(tmp_path):
    """It is made where the next commands look for it."""
    block = command_block("docs/guide/server.md", "adyton tls self-signed")
    bash("\n".join(line for line in block.splitlines() if "serve" not in line), tmp_path)
    assert {path.name for path in (tmp_path / "tls").iterdir()} == {"tls.crt", "tls.key"}
