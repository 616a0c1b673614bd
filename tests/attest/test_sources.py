"""What makes evidence: configfs-tsm as a real file system, Gramine's files, plug-ins."""

import contextlib
import importlib.metadata
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from adyton.attest import opening, tsm
from adyton.attest.gramine import GramineEvidence
from adyton.attest.opening import found_here, open_evidence
from adyton.attest.options import EvidenceOptions, split_pcrs
from adyton.attest.tsm import TsmEvidence
from adyton.attest.verifier import authenticate, check_binding
from adyton.errors import ConfigurationError, ServerUnavailable
from adyton.evidence import Binding
from attest.selfmade import NOW, Amd, der
from support import require_program

DATA = b"d" * 64


@contextlib.contextmanager
def kernel(folder, provider="tdx_guest", report=bytes(5000), aux=b"", trouble=""):
    """configfs-tsm as a file system of its own; see ``faketsm.py``."""
    require_program("fusermount3")
    if not Path("/dev/fuse").exists():
        pytest.skip("this machine has no /dev/fuse")
    mount = folder / "report"
    mount.mkdir()
    (folder / "blob").write_bytes(report)
    (folder / "aux").write_bytes(aux)
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("faketsm.py"), mount, provider, folder / "blob",
         folder / "aux", trouble],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 20
        while not mount.is_mount():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        yield mount
    finally:
        subprocess.run(["fusermount3", "-u", "-z", mount], check=False)
        process.terminate()
        process.wait(20)


def test_a_quote_of_tdx(tmp_path):
    """Bound to the data, with collateral from the file; its directory is gone afterwards."""
    collateral = tmp_path / "collateral.json"
    collateral.write_text("{}")
    with kernel(tmp_path) as mount:
        made = open_evidence(EvidenceOptions("tsm", tsm=mount, collateral=collateral))
        assert made.platform == "tdx"
        found = made.produce(DATA)
        assert (found.quote[:64], len(found.quote)) == (DATA, 5000)
        assert found.collateral == "{}"
        assert list(mount.iterdir()) == []
        collateral.unlink()
        with pytest.raises(ServerUnavailable):
            made.produce(DATA)


def test_many_at_once(tmp_path):
    """Each request has a directory of its own, and gets what it asked for."""
    with kernel(tmp_path) as mount:
        made, wrong = TsmEvidence(EvidenceOptions(tsm=mount)), []

        def ask(number):
            data = bytes([number]) * 64
            for _ in range(5):
                if made.produce(data).quote[:64] != data:
                    wrong.append(number)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


@pytest.mark.parametrize("trouble", ["busy:2", "steal:2"])
def test_passing_trouble_of_the_kernel(tmp_path, trouble):
    """A provider that is busy, and others who write in between: asked again, and never theirs."""
    with kernel(tmp_path, trouble=trouble) as mount:
        found = TsmEvidence(EvidenceOptions(tsm=mount)).produce(DATA)
        assert found.quote[:64] == DATA


@pytest.mark.parametrize("trouble", ["busy:99", "steal:99"])
def test_lasting_trouble_of_the_kernel(tmp_path, trouble):
    """It is told, and no report of somebody else is passed on."""
    with kernel(tmp_path, trouble=trouble) as mount:
        made = TsmEvidence(EvidenceOptions(tsm=mount))
        with pytest.raises(ServerUnavailable):
            made.produce(DATA)
        assert list(mount.iterdir()) == []


def test_a_kernel_without_a_provider(tmp_path):
    """No guest, or one of an unknown kind: told at the start."""
    with kernel(tmp_path, trouble="gone") as mount, pytest.raises(ConfigurationError):
        TsmEvidence(EvidenceOptions(tsm=mount))
    with pytest.raises(ConfigurationError):
        TsmEvidence(EvidenceOptions(tsm=tmp_path / "nothing"))
    other = tmp_path / "other"
    other.mkdir()
    with kernel(other, provider="arm_cca_guest") as mount, pytest.raises(ConfigurationError):
        TsmEvidence(EvidenceOptions(tsm=mount))


def cert_table(*certificates):
    """The host's table: in any order, with an entry of something else."""
    size = 24 * (len(certificates) + 2)
    head, body = b"", b""
    for number, each in enumerate((b"\x00other", *certificates)):
        head += bytes([number + 1]) * 16 + struct.pack("<II", size + len(body), len(each))
        body += each
    return head + bytes(24) + body


def test_a_report_of_snp_with_the_hosts_certificates(tmp_path):
    """From the kernel to the verifier: the table's certificates lead to the root."""
    amd = Amd()
    binding = Binding(b"n" * 32, b"k" * 32, "log")
    report = amd.report(binding.report_data())
    # The stand-in puts the data at the front; where a real report begins.
    table = cert_table(der(amd.ark), der(amd.ask), der(amd.leaf))
    with kernel(tmp_path, "sev_guest", report, table) as mount:
        made = TsmEvidence(EvidenceOptions(tsm=mount))
        assert made.platform == "sev-snp"
        found = made.produce(report[:64])
    claims = authenticate("sev-snp", found, NOW, roots=amd.roots)
    check_binding(claims, binding)
    for cut in range(0, len(table), 7):
        tsm.table(table[:cut])


def gramine(folder, kind=b"dcap"):
    (folder / "attestation_type").write_bytes(kind)
    (folder / "user_report_data").write_bytes(b"")
    (folder / "quote").write_bytes(b"a quote")
    return EvidenceOptions("gramine", gramine=folder)


def test_a_quote_of_gramine(tmp_path):
    """The data is written before the quote is read; a file that is away is told."""
    options = gramine(tmp_path)
    made = open_evidence(options)
    assert made.platform == "sgx"
    assert made.produce(DATA).quote == b"a quote"
    assert (tmp_path / "user_report_data").read_bytes() == DATA
    (tmp_path / "quote").unlink()
    with pytest.raises(ServerUnavailable):
        made.produce(DATA)
    with pytest.raises(ValueError):
        made.produce(b"short")


def test_threads_do_not_mix_quotes_of_gramine(tmp_path):
    """Its state is of the whole process: a quote is read before the next data is written."""
    made = GramineEvidence(gramine(tmp_path))
    (tmp_path / "quote").unlink()
    (tmp_path / "quote").symlink_to("user_report_data")
    wrong = []

    def ask(number):
        data = bytes([number]) * 64
        for _ in range(200):
            if made.produce(data).quote != data:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", [b"none", b"epid"])
def test_gramine_without_dcap(tmp_path, kind):
    """Told at the start."""
    with pytest.raises(ConfigurationError):
        GramineEvidence(gramine(tmp_path, kind))
    with pytest.raises(ConfigurationError):
        GramineEvidence(EvidenceOptions(gramine=tmp_path / "nothing"))


def test_auto_finds_the_platform(tmp_path, monkeypatch):
    """By the files that it shows; none where there are none, or none of them works."""
    nothing = EvidenceOptions("auto", tsm=tmp_path / "no", gramine=tmp_path / "no")
    monkeypatch.setattr(opening, "_TPMS", ())
    assert found_here(nothing) == []
    assert open_evidence(nothing) is None
    assert found_here(EvidenceOptions("auto", tsm=tmp_path, gramine=tmp_path / "no")) == ["tsm"]
    gramine(tmp_path)
    assert found_here(EvidenceOptions("auto", tsm=tmp_path / "no", gramine=tmp_path)) == ["gramine"]
    # What looks like configfs and has no provider is passed over.
    assert open_evidence(EvidenceOptions("auto", tsm=tmp_path, gramine=tmp_path)).platform == "sgx"
    assert found_here(
        EvidenceOptions("auto", "device:/dev/x", tsm=tmp_path / "no", gramine=tmp_path / "no")
    ) == ["tpm"]  # fmt: skip


class Plugged:
    """A platform of somebody else."""

    platform = "x-plugged"

    def __init__(self, options):
        self.options = options

    def produce(self, report_data):
        raise NotImplementedError


def test_plug_ins(monkeypatch):
    """Found by their entry point, never under a built-in name; unknown ones are told."""
    group = opening.ENTRY_POINTS
    points = [
        importlib.metadata.EntryPoint("plugged", "attest.test_sources:Plugged", group),
        importlib.metadata.EntryPoint("tsm", "attest.test_sources:Plugged", group),
        importlib.metadata.EntryPoint("broken", "attest.test_sources:Missing", group),
    ]
    monkeypatch.setattr(
        opening, "entry_points",
        lambda group, name=None: [each for each in points if name in {None, each.name}],
    )  # fmt: skip
    assert open_evidence(EvidenceOptions("plugged")).options.platform == "plugged"
    for name in ("broken", "unknown"):
        with pytest.raises(ConfigurationError):
            open_evidence(EvidenceOptions(name))
    with pytest.raises(ConfigurationError):
        open_evidence(EvidenceOptions("tsm", tsm=Path("/nonexistent")))


@pytest.mark.parametrize("text", ["", "sha256", "sha256:", "sha257:0", "sha256:24", "sha256:0,1"])
def test_pcrs_that_are_none(text):
    """Refused."""
    with pytest.raises(ValueError):
        split_pcrs(text)
    assert split_pcrs("sha256:7+0+7") == ("sha256", (0, 7))
