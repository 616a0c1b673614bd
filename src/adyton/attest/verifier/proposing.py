"""A policy from what a server shows now, to be reviewed by somebody before it accepts anything."""

from collections.abc import Iterator, Mapping
from typing import Final

from adyton.attest.verifier.claims import Claims
from adyton.errors import AttestationError
from adyton.evidence import Document

_HEAD: Final = """\
# What {address} showed at {time}: nobody has vouched for it yet.
# Compare each value with what you built or deployed, by another way than this server. Leave out
# what may differ, add values that an update will have, then set reviewed = true.
version = 1
reviewed = false
max_age = 600           # seconds for which a verification counts
{log_keys}
[[accept]]
platform = "{platform}"
"""
_LISTS: Final[Mapping[str, Mapping[str, str]]] = {
    "sev-snp": {
        "measurement": "measurements",
        "host_data": "host_data",
        "id_key_digest": "id_key_digests",
        "author_key_digest": "author_key_digests",
        "family_id": "family_ids",
        "image_id": "image_ids",
        "signer": "signers",
        "csp_id": "csp_ids",
    },
    "tdx": {
        "mr_td": "mr_td",
        "rt_mr0": "rt_mr0",
        "rt_mr1": "rt_mr1",
        "rt_mr2": "rt_mr2",
        "rt_mr3": "rt_mr3",
        "mr_seam": "mr_seam",
        "mr_config_id": "mr_config_ids",
        "mr_owner": "mr_owners",
        "tcb_status": "statuses",
    },
    "sgx": {
        "mr_enclave": "mr_enclaves",
        "mr_signer": "mr_signers",
        "isv_prod_id": "isv_prod_ids",
        "tcb_status": "statuses",
    },
    "nitro": {},
    "tpm": {"ak": "aks"},
}
"""Rule by claim."""
_LEAST: Final[Mapping[str, Mapping[str, str]]] = {
    "sev-snp": {
        "guest_svn": "min_guest_svn",
        "tcb_bootloader": "min_tcb_bootloader",
        "tcb_tee": "min_tcb_tee",
        "tcb_snp": "min_tcb_snp",
        "tcb_microcode": "min_tcb_microcode",
        "vmpl": "max_vmpl",
    },
    "tdx": {"tcb_evaluation": "min_tcb_evaluation"},
    "sgx": {"isv_svn": "min_isv_svn", "tcb_evaluation": "min_tcb_evaluation"},
}


def propose(document: Document, claims: Claims, *, address: str, time: str) -> str:
    """The text of a policy that would accept this server, once it is reviewed.

    Args:
        document: What the server showed.
        claims: What it says.
        address: The server's address, for the comment.
        time: When, for the comment.

    Raises:
        AttestationError: The platform is in debug mode: no policy is proposed that allows it.
    """
    if claims.debug:
        raise AttestationError(
            "the platform is in debug mode: anybody with access to it can look inside", rule="debug"
        )
    log_keys = f"log_keys = [{_quoted(document.log_key)}]\n" if document.log_key else ""
    shown = "".join(char if char.isprintable() else " " for char in address)
    head = _HEAD.format(address=shown, time=time, platform=claims.platform, log_keys=log_keys)
    return head + "\n".join(_lines(claims)) + "\n"


def _lines(claims: Claims) -> Iterator[str]:
    for claim, rule in _LISTS[claims.platform].items():
        found = claims.facts[claim]
        if isinstance(found, str) and not found.strip("0"):
            continue  # nothing was set there
        yield f"{rule} = [{_quoted(found) if isinstance(found, str) else found}]"
    for claim, rule in _LEAST.get(claims.platform, {}).items():
        yield f"{rule} = {claims.facts[claim]}"
    if claims.platform == "sev-snp" and claims.facts["migration"]:
        yield "allow_migration = true"
    if claims.pcrs:
        yield "[accept.pcrs]"
        for name, value in claims.pcrs.items():
            if claims.platform == "tpm" or value.strip("0"):
                yield f"{_quoted(name)} = [{_quoted(value)}]"
    if claims.events:
        yield "# The firmware's log explains these PCRs, event by event. To accept any order and"
        yield "# number of known events, list their digests here, and leave the PCRs out above:"
        digests = sorted({digest for found in claims.events.values() for digest in found})
        yield "# [accept.events]"
        yield f"# pcrs = {sorted(claims.events)}"
        yield f"# digests = [{', '.join(map(_quoted, digests))}]"


def _quoted(text: str) -> str:
    """A text as TOML writes it; of what platforms say, only what is plain stays as it is."""
    plain = "".join(char if char.isascii() and char.isprintable() else "?" for char in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
