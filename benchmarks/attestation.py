"""How many verifications of evidence a client makes in a second, by platform.

    python -m benchmarks.attestation

Evidence of a TPM, SEV-SNP and Nitro is made here, under roots of this run: signatures and chains
are those of the real ones, in kind and number (AMD's keys have 4,096 bits). Quotes of TDX and SGX
can't be made here: they are read from the folder ADYTON_EVIDENCE, and left out without it.
"""

import datetime as dt
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from adyton.attest.verifier import authenticate
from adyton.evidence import Parts
from attest.selfmade import NOW, Amd, Aws, Tpm, event_log  # type: ignore[import-not-found]

_SECONDS = 0.5
_ROUNDS = 7
_COLLATERAL_TIME = dt.datetime(2025, 6, 25, tzinfo=dt.UTC)


def rate(work: Callable[[], object]) -> float:
    """Runs of some work in a second: the median of several rounds."""
    work()
    found = []
    for _ in range(_ROUNDS):
        began, count = time.perf_counter(), 0
        while (took := time.perf_counter() - began) < _SECONDS:
            work()
            count += 1
        found.append(count / took)
    return statistics.median(found)


def kinds() -> list[tuple[str, Callable[[], object]]]:
    """Each kind of evidence with what verifies it once."""
    data = b"d" * 64
    amd, aws = Amd(bits=4096), Aws()
    log, pcrs = event_log([(pcr % 8, 5, b"event %d" % pcr) for pcr in range(100)])
    snp, nitro = amd.parts(data), aws.parts(data)
    tpm = Tpm().parts(data, pcrs, event_log=log)
    rsa = Tpm(rsa_scheme=0x14).parts(data, pcrs)
    found: list[tuple[str, Callable[[], object]]] = [
        ("TPM, ECDSA, log of 100 events", lambda: authenticate("tpm", tpm, NOW)),
        ("TPM, RSA, no log", lambda: authenticate("tpm", rsa, NOW)),
        ("SEV-SNP", lambda: authenticate("sev-snp", snp, NOW, roots=amd.roots)),
        ("Nitro", lambda: authenticate("nitro", nitro, NOW, roots=aws.roots)),
    ]
    folder = os.environ.get("ADYTON_EVIDENCE")
    if folder:
        for platform in ("tdx", "sgx"):
            quote = Path(folder, f"{platform}_quote")
            collateral = Path(folder, f"{platform}_quote_collateral.json")
            parts = Parts(quote.read_bytes(), collateral=collateral.read_text())
            found.append((platform.upper(), _dcap(platform, parts)))
    return found


def _dcap(platform: str, parts: Parts) -> Callable[[], object]:
    return lambda: authenticate(platform, parts, _COLLATERAL_TIME)


def main() -> None:
    """Measure, and print a table."""
    table = Table("evidence", "verifications/s", "each")
    for name, work in kinds():
        found = rate(work)
        table.add_row(name, f"{found:,.0f}", f"{1000 / found:.2f} ms")
    Console().print(table)


if __name__ == "__main__":
    main()
