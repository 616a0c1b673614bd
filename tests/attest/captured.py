"""Genuine evidence that was captured elsewhere, and policies that fit it.

The files are not part of the project: they are read from the folder named by ADYTON_EVIDENCE, by
default ``../shared/evidence`` beside the checkout. Where it is absent these tests are skipped, and
with CI=true they fail.
"""

import datetime as dt
import os
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adyton.evidence import Parts


def _beside():
    """The folder beside the checkout, or beside that of which the checkout is a worktree."""
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared" / "evidence").is_dir():
            return parent / "shared" / "evidence"
    return None


FOLDER = Path(os.environ["ADYTON_EVIDENCE"]) if "ADYTON_EVIDENCE" in os.environ else _beside()


def need():
    if FOLDER is not None and FOLDER.is_dir():
        return
    why = "no captured evidence: name its folder by ADYTON_EVIDENCE"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def read(name):
    need()
    return (FOLDER / name).read_bytes()


def chain(name):
    """Certificates of a PEM file, as DER."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [c.public_bytes(Encoding.DER) for c in x509.load_pem_x509_certificates(read(name))]


def day(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


class Capture(NamedTuple):
    """One piece of evidence.

    Attributes:
        platform: Its platform.
        at: A time at which it holds.
        load: Reads it.
        entry: What a policy that accepts it says, beside the platform.
        debug: Whether it is of a debug guest.
    """

    platform: str
    at: dt.datetime
    load: object
    entry: dict
    debug: bool = False


def snp(report, leaf, issuers):
    return lambda: Parts(read(report), certificates=[read(leaf), *chain(issuers)])


def quote(name):
    return lambda: Parts(read(name), collateral=read(f"{name}_collateral.json").decode())


CAPTURES = {
    "milan": Capture(
        "sev-snp", day("2025-01-01"), snp("g_milan_report.bin", "g_vcek.der", "milan_chain.pem"),
        {"allow_debug": True, "allow_migration": True}, debug=True,
    ),
    "genoa": Capture(
        "sev-snp", day("2026-06-01"), snp("genoa_report.bin", "genoa_vcek.der", "genoa_chain.pem"),
        {"signers": ["vcek"], "min_tcb_snp": 27, "min_tcb_microcode": 27},
    ),
    "vlek": Capture(
        "sev-snp", day("2025-06-01"), snp("vlek_report.bin", "vlek.der", "milan_vlek_chain.pem"),
        {"signers": ["vlek"], "csp_ids": ["CN=cc-us-east-2.amazonaws.com"]},
    ),
    "tdx": Capture("tdx", day("2025-06-25"), quote("tdx_quote"), {}),
    "sgx": Capture(
        "sgx", day("2025-06-25"), quote("sgx_quote"),
        {"statuses": ["UpToDate", "ConfigurationAndSWHardeningNeeded"]},
    ),
    "nitro": Capture("nitro", None, lambda: Parts(read("ev_beta.bin")), {}),
    "nitro-debug": Capture(
        "nitro", None, lambda: Parts(read("ev_debug.bin")), {"allow_debug": True}, debug=True
    ),
}  # fmt: skip
