"""Evidence made by the tests, under roots of their own: bound to whatever a test wants."""

import datetime as dt
import struct
from hashlib import sha256

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from adyton.evidence import Parts

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
_AMD = "1.3.6.1.4.1.3704.1."


def certificate(name, key, issuer=None, *, ca=True, extensions=(), hours=24, pss=False, now=NOW):
    """A certificate, by itself or by an issuer of (certificate, key)."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above, signer = issuer or (None, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.subject if above else subject)
        .public_key(key.public_key() if hasattr(key, "public_key") else key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(hours=hours))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for oid, value in extensions:
        made = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(made, critical=False)
    scheme = {}
    if pss:
        scheme = {"rsa_padding": padding.PSS(padding.MGF1(hashes.SHA384()), 48)}
    return builder.sign(signer, hashes.SHA384(), **scheme)


def der(found):
    return found.public_bytes(Encoding.DER)


def root_of(found):
    return found.fingerprint(hashes.SHA256()).hex()


class Amd:
    """An authority like AMD's, and a chip."""

    TCB = (3, 0, 8, 115)

    def __init__(self, tcb=TCB, chip=b"\x07" * 64, leaf_name="SEV-VCEK", bits=2048):
        self.ark_key = rsa.generate_private_key(65537, bits)
        self.ask_key = rsa.generate_private_key(65537, bits)
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.ark = certificate("ARK", self.ark_key, pss=True)
        self.ask = certificate("ASK", self.ask_key, (self.ark, self.ark_key), pss=True)
        numbers = zip(("3.1", "3.2", "3.3", "3.8"), tcb, strict=True)
        marks = [
            (_AMD + number, b"\x02\x01" + bytes([value]) if value < 128
             else b"\x02\x02\x00" + bytes([value]))
            for number, value in numbers
        ]  # fmt: skip
        marks.append((_AMD + "4", chip))
        marks.append((_AMD + "5", b"\x16\x05CN=me"))
        self.leaf = certificate(
            leaf_name, self.key, (self.ask, self.ask_key), ca=False, extensions=marks, pss=True
        )
        self.tcb, self.chip = tcb, chip
        self.roots = frozenset([root_of(self.ark)])

    def report(self, data, *, policy=0x30000, vmpl=0, svn=2, signer=0, measurement=b"\x11" * 48,
               version=3, family=0x19):  # fmt: skip
        made = bytearray(0x2A0)
        struct.pack_into("<IIQ", made, 0, version, svn, policy)
        struct.pack_into("<II", made, 0x30, vmpl, 1)
        made[0x48] = signer << 2
        made[0x50:0x90] = data
        made[0x90:0xC0] = measurement
        made[0x180], made[0x181], made[0x186], made[0x187] = self.tcb
        made[0x188] = family
        made[0x1A0:0x1E0] = self.chip
        r, s = decode_dss_signature(self.key.sign(bytes(made), ec.ECDSA(hashes.SHA384())))
        signature = r.to_bytes(72, "little") + s.to_bytes(72, "little")
        return bytes(made) + signature + bytes(1184 - 0x2A0 - 144)

    def parts(self, data, **more):
        chain = [der(self.leaf), der(self.ask), der(self.ark)]
        return Parts(self.report(data, **more), certificates=chain)


class Aws:
    """An authority like that of Nitro enclaves."""

    def __init__(self):
        self.root_key = ec.generate_private_key(ec.SECP384R1())
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.root = certificate("aws.nitro-enclaves", self.root_key)
        self.leaf = certificate("i-0.enclave", self.key, (self.root, self.root_key), ca=False)
        self.roots = frozenset([root_of(self.root)])

    def parts(self, data, *, pcr0=b"\x22" * 48, at=NOW, **more):
        payload = cbor2.dumps(
            {
                "module_id": "i-0-enc0", "digest": "SHA384",
                "timestamp": int(at.timestamp() * 1000),
                "pcrs": {0: pcr0, 1: b"\x33" * 48}, "certificate": der(self.leaf),
                "cabundle": [der(self.root)], "public_key": None, "user_data": data,
                "nonce": None, **more,
            }
        )  # fmt: skip
        protected = cbor2.dumps({1: -35})
        signed = cbor2.dumps(["Signature1", protected, b"", payload])
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA384())))
        signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
        return Parts(cbor2.dumps([protected, {}, payload, signature]))


_GOOD = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 16 | 1 << 18


def _sized(data):
    return struct.pack(">H", len(data)) + data


class Tpm:
    """A TPM's side of a quote, without a TPM."""

    def __init__(self, *, rsa_scheme=None, attributes=_GOOD):
        head = struct.pack(">HI", 0x000B, attributes) + _sized(b"")
        self.scheme = rsa_scheme
        if rsa_scheme is None:
            self.key = ec.generate_private_key(ec.SECP256R1())
            numbers = self.key.public_key().public_numbers()
            self.public = (
                struct.pack(">H", 0x0023) + head
                + struct.pack(">HHHHH", 0x10, 0x18, 0x0B, 3, 0x10)
                + _sized(numbers.x.to_bytes(32, "big")) + _sized(numbers.y.to_bytes(32, "big"))
            )  # fmt: skip
        else:
            self.key = rsa.generate_private_key(65537, 2048)
            modulus = self.key.public_key().public_numbers().n.to_bytes(256, "big")
            self.public = (
                struct.pack(">H", 0x0001) + head
                + struct.pack(">HHHHI", 0x10, rsa_scheme, 0x0B, 2048, 0) + _sized(modulus)
            )  # fmt: skip
        self.name = "000b" + sha256(self.public).hexdigest()

    def sign(self, attest):
        if self.scheme is None:
            r, s = decode_dss_signature(self.key.sign(attest, ec.ECDSA(hashes.SHA256())))
            return (
                struct.pack(">HH", 0x18, 0x0B)
                + _sized(r.to_bytes(32, "big")) + _sized(s.to_bytes(32, "big"))
            )  # fmt: skip
        pad = padding.PKCS1v15() if self.scheme == 0x14 else padding.PSS(
            padding.MGF1(hashes.SHA256()), 32
        )  # fmt: skip
        made = self.key.sign(attest, pad, hashes.SHA256())
        return struct.pack(">HH", self.scheme, 0x0B) + _sized(made)

    def attest(self, data, pcrs, *, magic=0xFF544347, kind=0x8018):
        bits = sum(1 << pcr for pcr in pcrs).to_bytes(3, "little")
        digest = sha256(b"".join(pcrs[pcr] for pcr in sorted(pcrs))).digest()
        return (
            struct.pack(">IH", magic, kind) + _sized(b"\x00\x0b" + bytes(32)) + _sized(data)
            + struct.pack(">QIIBQ", 1000, 3, 1, 1, 0x20191023)
            + struct.pack(">IHB", 1, 0x0B, 3) + bits + _sized(digest)
        )  # fmt: skip

    def parts(self, data, pcrs, *, certificates=(), event_log=b"", **more):
        """``data`` is the whole report data; a TPM signs its digest."""
        made = self.attest(sha256(data).digest(), pcrs, **more)
        shown = {f"sha256:{pcr}": value for pcr, value in pcrs.items()}
        return Parts(made, self.sign(made), self.public, shown, event_log, list(certificates))


def event_log(events, *, locality=None):
    """A log of (PCR, type, data) with digests of SHA-1 and SHA-256; and the PCRs it leads to."""
    spec = (
        b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, 2)
        + struct.pack("<HHHH", 4, 20, 0x0B, 32) + b"\0"
    )  # fmt: skip
    log = struct.pack("<II", 0, 3) + bytes(20) + struct.pack("<I", len(spec)) + spec
    pcrs = {}
    if locality is not None:
        events = [(0, 3, b"StartupLocality\0" + bytes([locality])), *events]
        pcrs[0] = bytes(31) + bytes([locality])
    for pcr, kind, data in events:
        digest = bytes(32) if kind == 3 else sha256(data).digest()
        log += struct.pack("<III", pcr, kind, 2) + struct.pack("<H", 4) + bytes(20)
        log += struct.pack("<H", 0x0B) + digest + struct.pack("<I", len(data)) + data
        if kind != 3:
            pcrs[pcr] = sha256(pcrs.get(pcr, bytes(32)) + digest).digest()
    return log, pcrs
