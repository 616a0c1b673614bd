"""Ansible with its collection community.hashi_vault, both unchanged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import missing_component

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / ".venv" / "ansible"


@pytest.fixture(scope="module")
def ansible():
    done = subprocess.run(
        [TOP / "scripts" / "ansible.sh", FOLDER], capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip
    if done.returncode:
        missing_component("Ansible", done.stderr[-500:])
    return FOLDER


def test_a_playbook(server, name, ansible, tmp_path):
    """Lookups and modules of KV, logins, wrapping and tokens; refusals are understood."""
    root = server.root
    policy = f'path "secret/data/{name}/*" {{ capabilities = ["read"] }}'
    root("PUT", f"/v1/sys/policies/acl/{name}", {"policy": policy})
    root("POST", f"/v1/sys/mounts/{name}-kv", {"type": "kv", "options": {"version": "1"}})
    root("POST", f"/v1/{name}-kv/old", {"k": "v"})
    for kind, path in (("approle", f"{name}-role"), ("userpass", f"{name}-user")):
        assert root("POST", f"/v1/sys/auth/{path}", {"type": kind})[0] == 204
    root("POST", f"/v1/auth/{name}-user/users/ann", {"password": "pw", "token_policies": name})
    role = f"/v1/auth/{name}-role/role/web"
    root("POST", role, {"token_policies": name})
    given = {
        "token": server.token,
        "place": name,
        "kv1_mount": f"{name}-kv",
        "role_mount": f"{name}-role",
        "user_mount": f"{name}-user",
        "role_id": root("GET", f"{role}/role-id")[2]["data"]["role_id"],
        "secret_id": root("POST", f"{role}/secret-id")[2]["data"]["secret_id"],
    }
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps(given), "utf-8")
    done = subprocess.run(
        [
            ansible / "venv" / "bin" / "ansible-playbook", "-i", "localhost,",
            "-e", f"@{variables}", Path(__file__).with_name("playbook.yml"),
        ],
        capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(ansible / "collections"),
            "ANSIBLE_HASHI_VAULT_ADDR": server.addr,
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
            "VAULT_ADDR": server.addr,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    status, _, body = root("GET", f"/v1/secret/metadata/{name}/db")
    assert (status, body["data"]["current_version"]) == (200, 1)
