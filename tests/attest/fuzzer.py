"""A fuzzer that is led by coverage (atheris): any evidence gives our errors or claims.

Usage: python fuzzer.py PLATFORM CORPUS [options of libFuzzer, such as -max_total_time=60]

It ends with 0 if nothing else came out. Genuine and self-made evidence is written to CORPUS first.
"""

import contextlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["adyton.attest.verifier", "adyton.evidence", "cbor2"]):
    from adyton.attest.verifier import authenticate, parse_policy
    from adyton.attest.verifier.eventlog import parse as parse_log
    from adyton.evidence import Parts, parse_document

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from adyton.errors import AttestationError, InvalidDocument
from attest.selfmade import NOW, Amd, Aws, Tpm, event_log

TPM, AMD, AWS = Tpm(), Amd(), Aws()
LOG, PCRS = event_log([(0, 8, b"a"), (4, 5, b"b")], locality=3)
ROOTS = AMD.roots | AWS.roots
SEEDS = {
    "tpm": TPM.parts(b"d" * 64, PCRS),
    "sev-snp": AMD.parts(b"d" * 64),
    "nitro": AWS.parts(b"d" * 64),
}


def tpm(data):
    seed = SEEDS["tpm"]
    # Each part by itself, as otherwise a wrong signature would hide all that comes after it.
    for parts in (Parts(data, seed.signature, seed.public, seed.pcrs),
                  Parts(data, TPM.sign(data), seed.public, seed.pcrs),
                  Parts(seed.quote, data, seed.public, seed.pcrs),
                  Parts(seed.quote, seed.signature, data, seed.pcrs)):  # fmt: skip
        judge("tpm", parts)


def snp(data):
    seed = SEEDS["sev-snp"]
    judge("sev-snp", Parts(data, certificates=seed.certificates))
    judge("sev-snp", Parts(seed.quote, certificates=[data, *seed.certificates[1:]]))


def judge(platform, parts):
    with contextlib.suppress(AttestationError):
        authenticate(platform, parts, NOW, roots=ROOTS)


def one(run):
    def test(data):
        with contextlib.suppress(AttestationError, InvalidDocument):
            run(data)

    return test


TARGETS = {
    "tpm": tpm,
    "sev-snp": snp,
    "nitro": lambda data: judge("nitro", Parts(data)),
    "log": parse_log,
    "document": parse_document,
    "policy": lambda data: parse_policy(data.decode("utf-8", "replace")),
}

if __name__ == "__main__":
    target, corpus = sys.argv[1], Path(sys.argv[2])
    corpus.mkdir(exist_ok=True)
    seeds = {"log": [LOG], "tpm": [SEEDS["tpm"].quote, SEEDS["tpm"].signature, SEEDS["tpm"].public]}
    own = [SEEDS[target].quote] if target in SEEDS else []
    for number, seed in enumerate(seeds.get(target, own)):
        (corpus / f"seed{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[3:]], one(TARGETS[target]))
    atheris.Fuzz()
