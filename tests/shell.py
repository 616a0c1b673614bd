"""The command line as a program, on a store or on a server."""

import json
import os
import sys
from pathlib import Path

import warm
from servers import TOKEN, Server

ROOT = Path(__file__).resolve().parents[1]
ADYTON = [sys.executable, "-m", "adyton.cli.main"]


class Shell:
    """Runs commands in a folder with a store, in processes forked from one that has loaded them."""

    server = None

    def __init__(self, folder):
        self.folder = folder
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("ADYTON_", "VAULT_"))},
            "ADYTON_STORE": str(folder / "s.db"),
            "ADYTON_ROOT": f"keyfile:{folder / 'k'}",
            "ADYTON_USER": "42",
        }

    def __call__(self, *args, stdin="", code=0, **env):
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = warm.run(args, data, self.folder, {**self.env, **env})
        assert done.returncode == code, done.stderr.decode()
        self.error = done.stderr.decode()
        return done.stdout

    def json(self, *args, **options):
        return json.loads(self(*args, "-o", "json", **options))

    def elsewhere(self, name):
        """An environment with a store of this name in the folder."""
        return {
            "ADYTON_ADDR": "",
            "ADYTON_STORE": str(self.folder / name),
            "ADYTON_ROOT": f"keyfile:{self.folder / name}.other-key",
        }


class Remote(Shell):
    """Runs commands on a server of its own, with a store that is thrown away."""

    def __init__(self, folder):
        super().__init__(folder)
        self.server = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
        del self.env["ADYTON_STORE"], self.env["ADYTON_ROOT"]
        self.env |= {"ADYTON_ADDR": self.server.addr, "ADYTON_TOKEN": TOKEN, "HOME": str(folder)}
