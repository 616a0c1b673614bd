"""Sealing and unsealing in a TPM under a policy, and the counter in its own memory."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tpm2_pytss import ESAPI, TSS2_Exception
from tpm2_pytss.constants import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_NT,
    TPM2_RH,
    TPM2_SE,
    TPM2_ST,
    TPMA_NV,
    TPMA_OBJECT,
)
from tpm2_pytss.types import (
    TPM2B_NV_PUBLIC,
    TPM2B_PRIVATE,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPML_PCR_SELECTION,
    TPMS_KEYEDHASH_PARMS,
    TPMS_NV_PUBLIC,
    TPMS_SENSITIVE_CREATE,
    TPMS_SIGNATURE_ECC,
    TPMT_KEYEDHASH_SCHEME,
    TPMT_PUBLIC,
    TPMT_SIGNATURE,
    TPMT_TK_VERIFIED,
    TPMU_PUBLIC_PARMS,
    TPMU_SIGNATURE,
)

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import RootUnavailable
from adyton.roots import _tpm
from adyton.roots._tpm_policy import POLICY_REF, approval_digest, approvals, parse_selection

_COUNTER_BYTES: Final = 8
_COUNTER_ATTRIBUTES: Final = (
    TPMA_NV(TPM2_NT.COUNTER << TPMA_NV.TPM2_NT_SHIFT)
    | TPMA_NV.OWNERREAD
    | TPMA_NV.OWNERWRITE
    | TPMA_NV.AUTHREAD
    | TPMA_NV.AUTHWRITE
    | TPMA_NV.NO_DA
)


class Refused(Exception):
    """The TPM has judged, and refuses."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


class Sealing:
    """Seals in one TPM.

    Args:
        tcti: How the TPM is reached.
        approver: The key whose approved policies open; None for the PCRs themselves.
        policies: Folder of approved policies.
    """

    def __init__(
        self, tcti: str, approver: ec.EllipticCurvePublicKey | None, policies: Path | None
    ) -> None:
        self._tcti = tcti
        self._policies = policies
        self._approver: TPM2B_PUBLIC | None = None
        if approver is not None:
            pem = approver.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            self._approver = TPM2B_PUBLIC.from_pem(
                pem, objectAttributes=TPMA_OBJECT.SIGN_ENCRYPT | TPMA_OBJECT.USERWITHAUTH
            )
            # The library writes numbers without their leading zeros, and TPMs take whole ones.
            numbers, size = approver.public_numbers(), (approver.curve.key_size + 7) // 8
            point = self._approver.publicArea.unique.ecc
            point.x, point.y = (each.to_bytes(size, "big") for each in (numbers.x, numbers.y))

    def reach(self) -> None:
        """Find out whether the TPM answers.

        Raises:
            RootUnavailable: It does not.
        """
        with _tpm.connected(self._tcti) as esapi:
            esapi.get_random(8)

    # -- sealing --------------------------------------------------------------------------------

    def seal(self, pcrs: str, content: SecretBytes) -> tuple[bytes, bytes, bytes]:
        """Seal up to 128 bytes; the parent's name, the public and the private part."""
        with _tpm.connected(self._tcti) as esapi:
            parent, name = _tpm.parent(esapi)
            try:
                template = TPM2B_PUBLIC(
                    TPMT_PUBLIC(
                        type=TPM2_ALG.KEYEDHASH,
                        nameAlg=TPM2_ALG.SHA256,
                        # Without USERWITHAUTH: an empty password would go round the policy.
                        objectAttributes=TPMA_OBJECT.FIXEDTPM
                        | TPMA_OBJECT.FIXEDPARENT
                        | TPMA_OBJECT.NODA,
                        authPolicy=self._policy(esapi, parent, pcrs),
                        parameters=TPMU_PUBLIC_PARMS(
                            keyedHashDetail=TPMS_KEYEDHASH_PARMS(
                                scheme=TPMT_KEYEDHASH_SCHEME(scheme=TPM2_ALG.NULL)
                            )
                        ),
                    )
                )
                # The library takes bytes alone: a copy that nobody can wipe.
                sensitive = TPM2B_SENSITIVE_CREATE(TPMS_SENSITIVE_CREATE(data=content.reveal()))
                with _tpm.session(esapi, TPM2_SE.HMAC, parent) as session:
                    private, public, *_ = esapi.create(
                        parent, sensitive, template, session1=session
                    )
            finally:
                esapi.flush_context(parent)
        return name, bytes(public.marshal()), bytes(private.marshal())

    def _policy(self, esapi: ESAPI, parent: ESYS_TR, pcrs: str) -> bytes:
        with _tpm.session(esapi, TPM2_SE.TRIAL, parent) as trial:
            if self._approver is None:
                esapi.policy_pcr(trial, b"", _selection(pcrs))
            else:
                # In a trial the TPM takes any ticket: only the key's name counts.
                ticket = TPMT_TK_VERIFIED(tag=TPM2_ST.VERIFIED, hierarchy=TPM2_RH.OWNER)
                name = self._approver.get_name()
                esapi.policy_authorize(trial, b"", name, ticket, POLICY_REF)
            return bytes(esapi.policy_get_digest(trial))

    def unseal(
        self, pcrs: str, parent_name: bytes, public: bytes, private: bytes, *, approved: bool
    ) -> SecretBytes:
        """Open what was sealed; the caller wipes it.

        Raises:
            Refused: The machine is in another state, or it is another TPM.
            RootUnavailable: The TPM does not answer.
        """
        with _tpm.connected(self._tcti) as esapi:
            parent, name = _tpm.parent(esapi)
            try:
                if name != parent_name:
                    raise Refused(
                        "it was sealed in another TPM, or this one was cleared since",
                        "Open the store by another of its roots, or restore the machine.",
                    )
                item = _load(esapi, parent, public, private)
                try:
                    with _tpm.session(esapi, TPM2_SE.POLICY, parent) as session:
                        self._satisfy(esapi, session, pcrs, approved=approved)
                        plain = esapi.unseal(item, session1=session)
                        return SecretBytes(bytes(plain))
                finally:
                    esapi.flush_context(item)
            except TSS2_Exception as error:
                if _tpm.layer_of(error) == 0 and not _tpm.is_busy(error):
                    raise Refused(
                        "the PCRs do not hold what it was sealed to",
                        "The software that was started has changed: approve its policy, or open "
                        "the store by another of its roots.",
                    ) from None
                raise
            finally:
                with suppress(TSS2_Exception):
                    esapi.flush_context(parent)

    def _satisfy(self, esapi: ESAPI, session: ESYS_TR, pcrs: str, *, approved: bool) -> None:
        esapi.policy_pcr(session, b"", _selection(pcrs))
        if not approved:
            return
        if self._approver is None or self._policies is None:
            raise Refused("it is opened by approved policies", "Name their key and folder.")
        policy = bytes(esapi.policy_get_digest(session))
        signature = approvals(self._policies).get(policy)
        if signature is None:
            raise Refused(
                "no approved policy is that of the state this machine is in",
                "Approve it where software is released: adyton root approve.",
            )
        # In a hierarchy: without one the ticket of the signature is worth nothing.
        key = esapi.load_external(self._approver, hierarchy=ESYS_TR.OWNER)
        try:
            ticket = esapi.verify_signature(key, approval_digest(policy), _ecdsa(signature))
        except (TSS2_Exception, ValueError):
            raise Refused(
                "the approved policy of this state is not signed by the key",
                "Approve it again, by the key that the root was made with.",
            ) from None
        finally:
            esapi.flush_context(key)
        esapi.policy_authorize(session, policy, self._approver.get_name(), ticket, POLICY_REF)

    # -- the counter ----------------------------------------------------------------------------

    def counter(self, index: int, *, create: bool = False) -> int:
        """What the counter holds; made, and counted up to its first value, if that is asked.

        Raises:
            RootUnavailable: There is no such counter, or the TPM does not answer.
        """
        with _tpm.connected(self._tcti) as esapi:
            handle = self._counter_handle(esapi, index, create=create)
            return _read(esapi, handle)

    def advance(self, index: int, wanted: int) -> None:
        """Count up to a value, by one at the most.

        Raises:
            Refused: The counter has passed it.
        """
        with _tpm.connected(self._tcti) as esapi:
            handle = self._counter_handle(esapi, index, create=False)
            now = _read(esapi, handle)
            if wanted == now + 1:
                esapi.nv_increment(handle)
            elif wanted != now:
                raise Refused("the TPM's counter has passed it", "An older copy was put back.")

    def _counter_handle(self, esapi: ESAPI, index: int, *, create: bool) -> ESYS_TR:
        try:
            return esapi.tr_from_tpmpublic(index)
        except TSS2_Exception as error:
            if not create or _tpm.layer_of(error) == _tpm.TCTI_LAYER:
                raise RootUnavailable(
                    f"the TPM has no counter at {index:#010x}",
                    hint="Check 'counter=' of the root 'tpm2:'; it is made with the store.",
                ) from None
        public = TPM2B_NV_PUBLIC(
            TPMS_NV_PUBLIC(
                nvIndex=index,
                nameAlg=TPM2_ALG.SHA256,
                attributes=_COUNTER_ATTRIBUTES,
                dataSize=_COUNTER_BYTES,
            )
        )
        handle = esapi.nv_define_space(None, public)
        esapi.nv_increment(handle)  # it can't be read before
        return handle


def read_pcrs(tcti: str, pcrs: str) -> list[bytes]:
    """What PCRs hold now, in the order of the selection.

    Raises:
        RootUnavailable: There is no TPM, or it lacks a bank.
    """
    found: list[bytes] = []
    with _tpm.connected(tcti) as esapi:
        for bank in parse_selection(pcrs):
            for pcr in bank.pcrs:  # the TPM answers with eight at the most
                _, _, values = esapi.pcr_read(_selection(f"{bank.bank}:{pcr}"))
                if len(values) != 1:
                    raise RootUnavailable(
                        f"the TPM has no bank {bank.bank}", hint="Choose one that it keeps."
                    )
                found.append(bytes(values[0]))
    return found


def _selection(pcrs: str) -> TPML_PCR_SELECTION:
    # The library writes the separators the other way round.
    return TPML_PCR_SELECTION.parse(pcrs.translate(str.maketrans("+,", ",+")))


def _load(esapi: ESAPI, parent: ESYS_TR, public: bytes, private: bytes) -> ESYS_TR:
    changed = Refused("its bytes were changed", "Restore the store's key rows.")
    try:
        public_part, used = TPM2B_PUBLIC.unmarshal(public)
        private_part, also_used = TPM2B_PRIVATE.unmarshal(private)
    except (ValueError, TSS2_Exception):
        raise changed from None
    if used != len(public) or also_used != len(private):
        raise changed
    return esapi.load(parent, private_part, public_part)


def _ecdsa(der: bytes) -> TPMT_SIGNATURE:
    r, s = decode_dss_signature(der)
    return TPMT_SIGNATURE(
        sigAlg=TPM2_ALG.ECDSA,
        signature=TPMU_SIGNATURE(
            ecdsa=TPMS_SIGNATURE_ECC(
                hash=TPM2_ALG.SHA256,
                signatureR=r.to_bytes(32, "big"),
                signatureS=s.to_bytes(32, "big"),
            )
        ),
    )


def _read(esapi: ESAPI, handle: ESYS_TR) -> int:
    return int.from_bytes(bytes(esapi.nv_read(handle, _COUNTER_BYTES)), "big")
