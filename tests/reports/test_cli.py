"""The command `report`: tables for people, documents for programs; on a store and on a server."""

import csv
import io
import json

import pytest

from adyton.cli import charts
from shell import Remote, Shell


@pytest.fixture(params=["store", "server"])
def sh(tmp_path, request):
    if request.param == "store":
        shell = Shell(tmp_path)
        shell("init")
        yield shell
        return
    shell = Remote(tmp_path)
    yield shell
    code, _, err = shell.server.stop()
    assert code == 0, err


def test_report_access(sh):
    """By secret, actor, action, hour and network: as a table, JSON and CSV, to a file or not."""
    sh("set", "db/password", stdin="x")
    for _ in range(3):
        sh("get", "db/password")
    sh("get", "nowhere", code=3)
    table = sh("report", "access").decode()
    for text in ("Accesses", "Values read: 3", "Failed: 1", "db/password", "By network", "█"):
        assert text in table
    found = json.loads(sh("report", "access", "--format", "json"))
    assert found["report"] == "access"
    assert found["tables"]["secrets"]["rows"][0] == {
        "secret": "db/password", "reads": 3, "changes": 1, "looks": 0,
    }  # fmt: skip
    assert sum(row["done"] for row in found["tables"]["hours"]["rows"]) >= 4
    same = sh.json("report", "access", "--prefix", "other/")
    assert same["tables"]["secrets"]["rows"] == []
    sh("report", "access", "--format", "html", "--out", "a.html")
    assert b"<svg" in (sh.folder / "a.html").read_bytes()
    sh("report", "access", "--format", "csv", "--out", "a.csv")
    rows = list(csv.reader(io.StringIO((sh.folder / "a.csv").read_text(), newline="")))
    assert ["secrets", "db/password", "3", "1", "0"] in rows
    assert (sh.folder / "a.csv").stat().st_mode & 0o777 == 0o600
    missed = sh.json("report", "failures")
    assert {"name": "nowhere", "failed": 1, "denied": 0} in missed["tables"]["names"]["rows"]


def test_report_arguments(tmp_path):
    """What can't be is told with what can; the list of reports; the check of counts."""
    sh = Shell(tmp_path)
    sh("init")
    sh("set", "a", stdin="x")
    sh("report", "nothing", code=2)
    assert "access" in sh.error
    sh("report", "access", "--from", "yesterday", code=2)
    assert "2026-01-31" in sh.error
    sh("report", "access", "--from", "2026-02-01", "--to", "2026-01-01", code=2)
    sh("report", "access", "--format", "pdf", code=2)
    sh("report", "access", "--out", "x", code=2)
    sh("report", "access", "-n", "0", code=2)
    assert "failures" in sh("report").decode()
    sh("report", "access")
    sh("report", "--check")
    assert "1 day" in sh.error
    old = sh.json("report", "access", "--from", "2020-01-01", "--to", "2020-02-01")
    assert old["facts"][0]["value"] == 0
    assert any("Counts begin" in note for note in old["notes"])
    assert (old["since"][:10], old["until"][:10]) == ("2020-01-01", "2020-02-02")


def test_charts():
    """The largest fills its place, what is not zero is seen, and many values are added up."""
    assert charts.spark([0, 1, 1000], 96)[0] == " "
    assert charts.spark([0, 1, 1000], 96)[1] != " "
    assert len(charts.spark([1] * 1000, 50)) == 50
    assert charts.spark([], 9) == ""
    assert len(charts.bar([5, 5], 10).plain) == charts.BAR_CELLS
    assert charts.bar([0, 0], 0).plain == ""


def test_the_operator_has_reports_of_the_whole_store(tmp_path):
    sh = Shell(tmp_path)
    sh("init")
    sh("set", "hidden-name", "--user", "alice", stdin="v")
    assert b"Storage and quotas of the whole store" in sh("report", "usage", "--whole-store")
    assert b"hidden-name" not in sh("report", "usage", "--whole-store", "--format", "json")
    sh("report", "access", "--whole-store", code=2)
