"""How long each root takes to open a store of many users, and to change its master key.

    python -m benchmarks.roots

Each root opens a copy of one store. *Open* is the whole of it: the file, the lock, the root, the
keys, the log's end; of which the key file's row is little more than the store itself. *Rotate*
wraps the key of every user anew and destroys the old master key. Services run on this machine:
OpenBao for transit, moto for AWS KMS, SoftHSM and swtpm for devices; real ones are farther away.
"""

import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import pyrage
import typer
from rich.console import Console
from rich.table import Table

from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import AdytonError
from adyton.ports import RootOfTrust
from adyton.roots import ShamirRoot, open_root
from adyton.roots.gramine import GramineRoot
from adyton.service import keychange
from adyton.service.commit import Scope
from benchmarks.harness import core_of

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

_UNIT = 2_000
Open = Callable[[], RootOfTrust]


def make_users(store: SecretStore, count: int) -> None:
    """Write namespaces in bulk."""
    core = core_of(store)

    async def put(first: int) -> None:
        async def work(scope: Scope) -> None:
            for number in range(first, min(first + _UNIT, count)):
                await keychange.create_user(scope.tx, core.ring, f"user-{number}", scope.now_us)

        await core.commit.submit(work)

    for first in range(0, count, _UNIT):
        core.commit.run_sync(put(first))


def _services(folder: Path, stack: ExitStack) -> Iterator[tuple[str, Callable[[], Open]]]:
    """What opens each root, by name; services are started when it is asked for."""
    import rootpeers  # type: ignore[import-not-found] # noqa: PLC0415 - of the tests

    def uri(text: str) -> Open:
        return lambda: open_root(text)

    def private(name: str, content: bytes) -> Path:
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def shamir() -> Open:
        root, shares = ShamirRoot.create(3, 5)
        made: list[RootOfTrust] = [root]
        texts = [share.text().encode() for share in shares[:3]]

        def opened() -> RootOfTrust:
            if made:  # the one that wraps
                return made.pop()
            given = iter(texts)
            return open_root("shamir:", ask=lambda _: SecretBytes(next(given)))

        return opened

    def transit() -> Open:
        bao = rootpeers.Bao(folder)
        stack.callback(bao.stop)
        token = private("token", rootpeers.BAO_TOKEN.encode())
        return uri(f"transit:{bao.key('bench')}?token_file={token}")

    def gramine() -> Open:
        key = private("_sgx_mrsigner", os.urandom(16))
        return lambda: GramineRoot("mrsigner", keys=key.parent)

    def awskms() -> Open:
        moto = rootpeers.Moto(folder)
        stack.callback(moto.stop)
        os.environ.update(rootpeers.AWS_ENV)
        return uri(f"awskms:{moto.key()}")

    def pkcs11() -> Open:
        hsm = rootpeers.SoftHsm(folder)
        os.environ.update(hsm.env)
        hsm.token("bench")
        return lambda: open_root(hsm.uri("bench"), create=True)

    def tpm2() -> Open:
        tpm = rootpeers.SoftTpm(folder / "tpm")
        stack.callback(tpm.stop)
        return uri(f"tpm2:?pcrs=sha256:7&tcti={tpm.tcti}")

    identity = private("identity", f"{pyrage.x25519.Identity.generate()}\n".encode())
    private("credential", os.urandom(32))
    os.environ["CREDENTIALS_DIRECTORY"] = str(folder)
    words = private("words", b"correct horse battery staple\n")
    private("other.key", os.urandom(32))
    yield "keyfile", lambda: uri(f"keyfile:{folder}/other.key")
    yield "passphrase", lambda: uri(f"passphrase:file={words}")
    yield "shamir 3/5", shamir
    yield "age", lambda: uri(f"age:identity={identity}")
    yield "credential", lambda: uri("credential:credential")
    yield "gramine (a file)", gramine
    yield "pkcs11 (SoftHSM)", pkcs11
    yield "tpm2 (swtpm)", tpm2
    yield "transit (OpenBao)", transit
    yield "awskms (moto)", awskms


def measure(first: Path, folder: Path, opened: Open, rounds: int) -> tuple[float, float]:
    """Milliseconds to open the store; seconds to rotate."""
    shutil.copytree(first, folder)
    path = str(folder / "store.db")
    with SecretStore.open(path, root=f"keyfile:{first}/key", upkeep=False) as store:
        old = store.roots.list()[0].slot
        store.roots.add(opened())
        store.roots.remove(old)
    opens = []
    for _ in range(rounds):
        begun = time.perf_counter()
        store = SecretStore.open(path, root=opened(), upkeep=False)
        opens.append(time.perf_counter() - begun)
        store.close()
    with SecretStore.open(path, root=opened(), upkeep=False) as store:
        begun = time.perf_counter()
        store.keys.rotate(master=True)
        rotated = time.perf_counter() - begun
    shutil.rmtree(folder)
    return statistics.median(opens) * 1_000, rotated


def main(
    users: Annotated[int, typer.Option(help="Namespaces in the store.")] = 100_000,
    rounds: Annotated[int, typer.Option(help="Openings by each root.")] = 7,
    only: Annotated[str, typer.Option(help="Roots whose names begin so.")] = "",
) -> None:
    """Measure each root that can run here; print a table."""
    logging.getLogger("adyton").setLevel(logging.ERROR)
    console = Console(stderr=True)
    table = Table("root", "open (ms)", "rotate (s)", box=None)
    with tempfile.TemporaryDirectory(prefix="adyton-bench-") as name, ExitStack() as stack:
        place = Path(name)
        first = place / "first"
        first.mkdir()
        with SecretStore.open(
            str(first / "store.db"), root=f"keyfile:{first}/key", create=True, upkeep=False
        ) as store:
            make_users(store, users)
        console.print(f"{users} users")
        for kind, start in _services(place, stack):
            if not kind.startswith(only):
                continue
            try:
                found = measure(first, place / "now", start(), rounds)
            except (AdytonError, ImportError, OSError) as error:
                shutil.rmtree(place / "now", ignore_errors=True)
                table.add_row(kind, f"not here: {type(error).__name__}", "")
                continue
            table.add_row(kind, f"{found[0]:.1f}", f"{found[1]:.2f}")
            console.print(f"done: {kind}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
