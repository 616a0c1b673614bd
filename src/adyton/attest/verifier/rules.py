"""What a policy's entries accept, one kind for each platform (``docs/spec/attestation.md``, 5).

A rule that is left out does not limit; but each entry must name what identifies the code, so an
entry that accepts everything can't be written.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

import msgspec
from cryptography import x509
from msgspec import Meta

from adyton.attest.verifier import nitro, revocation, snp
from adyton.attest.verifier.certificates import UNREADABLE, fingerprint
from adyton.attest.verifier.claims import Claims
from adyton.errors import AttestationError

_Bytes16: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
_Bytes32: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Bytes48: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{96}$")]
_Name: TypeAlias = Annotated[str, Meta(pattern="^000b[0-9a-f]{64}$")]
_Digest: TypeAlias = Annotated[str, Meta(pattern="^(?:[0-9a-f]{2}){20,64}$")]
_Least: TypeAlias = Annotated[int, Meta(ge=0, le=2**32)]
_Pem: TypeAlias = Annotated[str, Meta(max_length=16_384)]
_Crls: TypeAlias = Annotated[
    list[Annotated[str, Meta(max_length=512 * 1024)]], Meta(min_length=1, max_length=16)
]
Digests16: TypeAlias = Annotated[list[_Bytes16], Meta(min_length=1)]
Digests32: TypeAlias = Annotated[list[_Bytes32], Meta(min_length=1)]
Digests48: TypeAlias = Annotated[list[_Bytes48], Meta(min_length=1)]
Texts: TypeAlias = Annotated[list[str], Meta(min_length=1)]
_Pcrs: TypeAlias = dict[str, Annotated[list[_Digest], Meta(min_length=1)]]
Status = Literal[
    "UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded",
    "OutOfDate", "OutOfDateConfigurationNeeded",
]  # fmt: skip
_PCR_NAME: Final = re.compile(r"(?:sha1|sha256|sha384|sha512):(?:[0-9]|1[0-9]|2[0-3])", re.ASCII)
_NITRO_PCR: Final = re.compile(r"[0-9]|[12][0-9]|3[01]", re.ASCII)


class Entry(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="platform"
):
    """One way to be accepted.

    Attributes:
        allow_debug: Whether a platform may be accepted that lets somebody look inside.
    """

    allow_debug: bool = False

    listed: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Lists of what is accepted: the claim that must be in it, and the rule that refuses."""
    least: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Least numbers: the claim, and the rule."""

    @property
    def platform(self) -> str:
        """Its platform."""
        return str(self.__struct_config__.tag)

    def judge(self, claims: Claims) -> None:
        """Accept claims, or say which rule refuses them.

        Raises:
            AttestationError: A rule refuses.
        """
        if claims.debug and not self.allow_debug:
            raise AttestationError("the platform is in debug mode", rule="debug")
        for name, (claim, rule) in self.listed.items():
            accepted: list[Any] | None = getattr(self, name)
            if accepted is not None and claims.facts[claim] not in accepted:
                raise AttestationError(f"{claim} is none of those that are accepted", rule=rule)
        for name, (claim, rule) in self.least.items():
            least: int | None = getattr(self, name)
            found = claims.facts[claim]
            if least is not None and (not isinstance(found, int) or found < least):
                raise AttestationError(f"{claim} is lower than is accepted", rule=rule)

    def needs(self, *names: str) -> None:
        """One of these must be given, or the entry would accept any code.

        Raises:
            ValueError: None is.
        """
        if not any(getattr(self, name) for name in names):
            raise ValueError(f"an entry for {self.platform} needs {' or '.join(names)}")


class SnpEntry(Entry, tag="sev-snp", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An SEV-SNP guest."""

    measurements: Digests48 | None = None
    host_data: Digests32 | None = None
    id_key_digests: Digests48 | None = None
    author_key_digests: Digests48 | None = None
    family_ids: Digests16 | None = None
    image_ids: Digests16 | None = None
    min_guest_svn: _Least = 0
    min_tcb_bootloader: _Least = 0
    min_tcb_tee: _Least = 0
    min_tcb_snp: _Least = 0
    min_tcb_microcode: _Least = 0
    max_vmpl: Annotated[int, Meta(ge=0, le=3)] = 0
    allow_smt: bool = True
    allow_migration: bool = False
    signers: Annotated[list[Literal["vcek", "vlek"]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["vcek", "vlek"]
    )
    csp_ids: Texts | None = None
    roots: Digests32 | None = None
    crls: _Crls | None = None

    listed = {
        "measurements": ("measurement", "measurement"),
        "host_data": ("host_data", "measurement"),
        "id_key_digests": ("id_key_digest", "signer"),
        "author_key_digests": ("author_key_digest", "signer"),
        "family_ids": ("family_id", "measurement"),
        "image_ids": ("image_id", "measurement"),
        "signers": ("signer", "signer"),
        "csp_ids": ("csp_id", "signer"),
    }
    least = {
        "min_guest_svn": ("guest_svn", "svn"),
        "min_tcb_bootloader": ("tcb_bootloader", "tcb-version"),
        "min_tcb_tee": ("tcb_tee", "tcb-version"),
        "min_tcb_snp": ("tcb_snp", "tcb-version"),
        "min_tcb_microcode": ("tcb_microcode", "tcb-version"),
    }

    def __post_init__(self) -> None:
        # Who signed the identity block vouches for family, image and version; alone these say
        # nothing, as anybody can write them.
        self.needs("measurements", "id_key_digests", "author_key_digests")
        for pem in self.crls or ():
            revocation.parse(pem)

    def trusted(self) -> frozenset[str]:
        """Roots of the chip's chain."""
        return snp.ROOTS if self.roots is None else frozenset(self.roots)

    def judge(self, claims: Claims) -> None:
        """As above, with the guest's policy."""
        super().judge(claims)
        vmpl = claims.facts["vmpl"]
        if not isinstance(vmpl, int) or vmpl > self.max_vmpl:
            raise AttestationError("the report is of a less privileged level", rule="vmpl")
        if claims.facts["smt"] and not self.allow_smt:
            raise AttestationError("the guest may run with SMT", rule="guest-policy")
        if claims.facts["migration"] and not self.allow_migration:
            raise AttestationError("the guest may be migrated", rule="guest-policy")


class _DcapEntry(Entry, frozen=True, forbid_unknown_fields=True, kw_only=True):
    statuses: Annotated[list[Status], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["UpToDate"]
    )
    min_tcb_evaluation: _Least = 0
    max_collateral_days: Annotated[int, Meta(ge=1, le=366)] = 30
    refused_advisories: list[str] = []

    def judge(self, claims: Claims) -> None:
        """As above, with advisories."""
        super().judge(claims)
        found = claims.facts["advisories"]
        if isinstance(found, tuple) and set(found) & set(self.refused_advisories):
            raise AttestationError("an advisory that is refused concerns it", rule="tcb-status")


class TdxEntry(_DcapEntry, tag="tdx", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A TDX guest."""

    mr_td: Digests48 | None = None
    rt_mr0: Digests48 | None = None
    rt_mr1: Digests48 | None = None
    rt_mr2: Digests48 | None = None
    rt_mr3: Digests48 | None = None
    mr_seam: Digests48 | None = None
    mr_config_ids: Digests48 | None = None
    mr_owners: Digests48 | None = None

    listed = {
        "statuses": ("tcb_status", "tcb-status"),
        "mr_td": ("mr_td", "measurement"),
        "rt_mr0": ("rt_mr0", "measurement"),
        "rt_mr1": ("rt_mr1", "measurement"),
        "rt_mr2": ("rt_mr2", "measurement"),
        "rt_mr3": ("rt_mr3", "measurement"),
        "mr_seam": ("mr_seam", "measurement"),
        "mr_config_ids": ("mr_config_id", "measurement"),
        "mr_owners": ("mr_owner", "signer"),
    }
    least = {"min_tcb_evaluation": ("tcb_evaluation", "tcb-version")}

    def __post_init__(self) -> None:
        self.needs("mr_td")


class SgxEntry(_DcapEntry, tag="sgx", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An SGX enclave: its very code, or its signer with product and least version."""

    mr_enclaves: Digests32 | None = None
    mr_signers: Digests32 | None = None
    isv_prod_ids: Annotated[list[_Least], Meta(min_length=1)] | None = None
    min_isv_svn: _Least | None = None

    listed = {
        "statuses": ("tcb_status", "tcb-status"),
        "mr_enclaves": ("mr_enclave", "measurement"),
        "mr_signers": ("mr_signer", "signer"),
        "isv_prod_ids": ("isv_prod_id", "measurement"),
    }
    least = {
        "min_tcb_evaluation": ("tcb_evaluation", "tcb-version"),
        "min_isv_svn": ("isv_svn", "svn"),
    }

    def __post_init__(self) -> None:
        self.needs("mr_enclaves", "mr_signers")
        if self.mr_enclaves is None and (self.isv_prod_ids is None or self.min_isv_svn is None):
            raise ValueError("mr_signers alone accepts all of the signer's enclaves of all times: "
                             "add isv_prod_ids and min_isv_svn")  # fmt: skip


class NitroEntry(Entry, tag="nitro", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An AWS Nitro enclave."""

    pcrs: _Pcrs = {}
    roots: Digests32 | None = None

    def __post_init__(self) -> None:
        if not {"0", "8"} & set(self.pcrs) or not all(map(_NITRO_PCR.fullmatch, self.pcrs)):
            raise ValueError("an entry for nitro needs pcrs by number, 0 (image) or 8 (signer)")

    def trusted(self) -> frozenset[str]:
        """Roots of the enclave's chain."""
        return nitro.ROOTS if self.roots is None else frozenset(self.roots)

    def judge(self, claims: Claims) -> None:
        """As above, with the PCRs."""
        super().judge(claims)
        judge_pcrs(self.pcrs, claims)


def _fingerprint(pem: str) -> str:
    try:
        return fingerprint(x509.load_pem_x509_certificate(pem.encode()))
    except UNREADABLE:
        raise ValueError("ak_roots holds what is no certificate in PEM") from None


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may have been measured, event by event.

    Attributes:
        pcrs: PCRs of which every event counts.
        digests: Of the events that are accepted.
    """

    pcrs: Annotated[list[Annotated[int, Meta(ge=0, le=23)]], Meta(min_length=1)]
    digests: Digests32


class TpmEntry(Entry, tag="tpm", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine with a TPM: which key speaks for it, and what it has measured."""

    aks: Annotated[list[_Name], Meta(min_length=1)] | None = None
    ak_roots: Annotated[list[_Pem], Meta(min_length=1)] | None = None
    pcrs: _Pcrs = {}
    events: Events | None = None
    crls: _Crls | None = None

    def __post_init__(self) -> None:
        self.needs("aks", "ak_roots")
        self.needs("pcrs", "events")
        if not all(map(_PCR_NAME.fullmatch, self.pcrs)):
            raise ValueError('pcrs of a TPM are named as "sha256:7"')
        self.trusted()
        for pem in self.crls or ():
            revocation.parse(pem)

    def trusted(self) -> frozenset[str]:
        """SHA-256 of the certificates that vouch for attestation keys."""
        return frozenset(map(_fingerprint, self.ak_roots or ()))

    def judge(self, claims: Claims) -> None:
        """As above, with key, PCRs and log."""
        super().judge(claims)
        if claims.facts["ak"] not in (self.aks or ()) and not (claims.facts["ak_root"]):
            raise AttestationError("the attestation key is not one that is accepted", rule="ak")
        judge_pcrs(self.pcrs, claims)
        if self.events is not None:
            for pcr in self.events.pcrs:
                found = claims.events.get(pcr)
                if found is None:
                    raise AttestationError(f"no log explains PCR {pcr}", rule="event-log")
                if not set(found) <= set(self.events.digests):
                    raise AttestationError(
                        f"PCR {pcr} has measured what is not accepted", rule="event-log"
                    )


def judge_pcrs(wanted: Mapping[str, list[str]], claims: Claims) -> None:
    """Each PCR that is wanted must have one of the values.

    Raises:
        AttestationError: One has not, or was not signed.
    """
    for name, accepted in wanted.items():
        if claims.pcrs.get(name) not in accepted:
            raise AttestationError(f"PCR {name} has a value that is not accepted", rule="pcrs")


AnyEntry: TypeAlias = SnpEntry | TdxEntry | SgxEntry | NitroEntry | TpmEntry
