"""Judges evidence: no store, no library of a TPM, no network (``docs/spec/attestation.md``)."""

from adyton.attest.verifier.appraisal import PLATFORMS, authenticate, check_binding, verify
from adyton.attest.verifier.claims import Claims
from adyton.attest.verifier.policy import Policy, load_policy, parse_policy

__all__ = [
    "PLATFORMS",
    "Claims",
    "Policy",
    "authenticate",
    "check_binding",
    "load_policy",
    "parse_policy",
    "verify",
]
