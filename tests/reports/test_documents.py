"""Reports as documents: nothing in a name gets out of its cell; charts are there to be seen."""

import csv
import datetime as dt
import io
import json
import os
import re
import struct
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton import Caller
from adyton.errors import ConfigurationError, InvalidInput, SecretNotFound
from adyton.reportdocs import FORMATS, write
from adyton.reportvalues import Column, Fact, Report, Table
from adyton.service.reports.reporting import KINDS
from support import Place, require_module

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser")
                 if Path(path).exists()), None)  # fmt: skip
NASTY = [
    "<script>window.ran=1</script>",
    '"><img src=x onerror="window.ran=1">',
    "</style><script>window.ran=1</script>",
    "&lt;b&gt; &amp; <b>bold</b>",
    "=HYPERLINK(\"x\")",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+1", "-2+3", "plain/name", "ünï-çødé/秘密", "'quoted'", "a,b;c\"d",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every report of a store with names that mean something elsewhere."""
    place = Place(tmp_path_factory.mktemp("documents"))
    with place.open() as store:
        for number, name in enumerate(NASTY):
            store.set_secret("u", name, b"x" * 20)
            actor = store.acting_as(Caller(NASTY[number % 5], address=f"10.0.{number}.1"))
            for _ in range(2 * number + 1):
                with actor.get_secret("u", name):
                    pass
            with pytest.raises(SecretNotFound):
                actor.get_secret("u", name + "x")
        store.set_secret("v", "x", b"x")
        for name in NASTY[:3]:
            store.shares.create("u", "v", name)
        reports = {name: store.reports.make("u", name) for name in KINDS}
        reports["store keys"] = store.reports.make(None, "keys")
        reports["store usage"] = store.reports.make(None, "usage")
    return reports


def sample(text="x", cells=None):
    rows = tuple((cell, 1) for cell in cells or [text])
    columns = (Column("name", "Name"), Column("n", "N", "number"))
    now = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    return Report("access", "Title", text, now, now, now, (text,), (Fact(text, text, "text"),), (
        Table("t", "T", columns, rows, len(rows), "bars", ("n",)),
    ))  # fmt: skip


def test_json(made):
    """Rows as objects, with what is not told as null."""
    for report in made.values():
        found = json.loads(write(report, "json"))
        for table in report.tables:
            rows = found["tables"][table.key]["rows"]
            assert [tuple(row.values()) for row in rows] == [tuple(row) for row in table.rows]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_csv_cells_are_no_formulas(text):
    """What is read back is the cell, or the cell behind an apostrophe; never a formula."""
    rows = list(csv.reader(io.StringIO(write(sample(text), "csv").decode(errors="surrogateescape"),
                                       newline=""))) if not surrogate(text) else []  # fmt: skip
    for row in rows:
        for cell in row[:2]:
            assert not re.match(r"[ ]*[=+\-@\t\r\n]", cell), cell
    if rows:
        (cell,) = [row[1] for row in rows if row[:1] == ["t"]]
        assert cell in (text, f"'{text}")


def surrogate(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def test_csv_numbers_stay_numbers():
    """A negative number is no formula."""
    report = sample(cells=["x"])
    table = report.tables[0]
    rows = (("x", -5),)
    changed = Table(table.key, table.title, table.columns, rows, 1)
    rows = list(csv.reader(io.StringIO(
        write(Report(*[getattr(report, f) for f in Report.__struct_fields__[:-1]], (changed,)),
              "csv").decode(), newline="")))  # fmt: skip
    assert ["t", "x", "-5"] in rows


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_html_is_inert_whatever_a_name_is(text):
    """No element, attribute or reference comes of a text."""
    require_module("pygal")
    from html.parser import HTMLParser

    class Seen(HTMLParser):
        tags = ()

        def handle_starttag(self, tag, attrs):
            self.tags = (*self.tags, tag)
            assert not any(name.startswith("on") or name in ("src", "href", "xlink:href")
                           for name, _ in attrs)  # fmt: skip

    def tags(report):
        seen = Seen()
        seen.feed(write(report, "html").decode())
        return [tag for tag in seen.tags if tag not in ("g", "text", "tspan", "title", "desc")]

    assert tags(sample(text)) == tags(sample("x"))


def test_html_asks_nobody(made):
    """No reference to anything outside; names of namespaces are no requests."""
    require_module("pygal")
    for report in made.values():
        page = write(report, "html").decode()
        assert "<script" not in page
        assert not re.search(r"<[^>]*\s(?:src|href|xlink:href)\s*=", page)
        assert "@import" not in page
        assert "url(" not in page
        for found in re.findall(r"https?://[^\"<\s]+", page):
            assert found.startswith("http://www.w3.org/"), found


def test_the_same_report_is_the_same_page(made):
    """Nothing random is in it."""
    require_module("pygal")
    for report in made.values():
        assert write(report, "html") == write(report, "html")


def test_without_the_library(monkeypatch):
    """The error says what is missing, and how to mend it."""
    monkeypatch.setitem(sys.modules, "pygal", None)
    with pytest.raises(ConfigurationError) as caught:
        write(sample(), "html")
    assert "adyton[reports]" in caught.value.hint
    assert write(sample(), "csv")
    with pytest.raises(InvalidInput):
        write(sample(), "pdf")
    assert FORMATS == ("json", "csv", "html")


# -- in a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    require_module("pygal")
    if not CHROMIUM:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: scripts/debian-packages.sh chromium")
        pytest.skip("chromium is not installed: scripts/debian-packages.sh chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def pixels(png):
    """Colours of a picture, and how many pixels have each: PNG, 8 bits, no interlace (RFC 2083)."""
    at, data = 8, b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            data += body
        at += 12 + size
    assert depth == 8
    step = {2: 3, 6: 4}[colour]
    raw, found, line = zlib.decompress(data), {}, bytearray(width * step)
    for row in range(height):
        begin = row * (width * step + 1)
        method, now = raw[begin], bytearray(raw[begin + 1 : begin + 1 + width * step])
        for i in range(len(now)):
            left = now[i - step] if i >= step else 0
            up, corner = line[i], line[i - step] if i >= step else 0
            if method == 1:
                now[i] = (now[i] + left) & 255
            elif method == 2:
                now[i] = (now[i] + up) & 255
            elif method == 3:
                now[i] = (now[i] + (left + up) // 2) & 255
            elif method == 4:
                guess = left + up - corner
                near = min((left, up, corner), key=lambda value: abs(guess - value))
                now[i] = (now[i] + near) & 255
        line = now
        for i in range(0, len(now), step):
            key = tuple(now[i : i + 3])
            found[key] = found.get(key, 0) + 1
    return found


BLUE = {"light": (0x2F, 0x6F, 0xB2), "dark": (0x6A, 0xA5, 0xE3)}
PAPER = {"light": (255, 255, 255), "dark": (0x14, 0x17, 0x1A)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_seen(browser, made, tmp_path, scheme):
    """In a real browser: bars of the page's colours, by their pixels; quiet, and asking nobody."""
    path = tmp_path / "report.html"
    path.write_bytes(write(made["access"], "html"))
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": 900, "height": 900}, offline=True
    )
    page = context.new_page()
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda told: wrong.append(told.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    charts = page.locator("figure")
    assert charts.count() == 6
    picture = page.screenshot(full_page=True)
    folder = os.environ.get("ADYTON_TEST_PICTURES")
    if folder:
        (Path(folder) / f"report-{scheme}.png").write_bytes(picture)
    for number in range(charts.count()):
        found = pixels(charts.nth(number).screenshot())
        assert found.get(BLUE[scheme], 0) > 200, number
        assert max(found, key=found.get) == PAPER[scheme]
    # The bar of what was read most is the longest, by its pixels as by its figure.
    bars = page.locator("figure").nth(1).locator("svg .series.serie-0 rect.reactive")
    widths = [bars.nth(number).bounding_box()["width"] for number in range(bars.count())]
    reads = [row[1] for row in made["access"].tables[1].rows][::-1]
    assert len(widths) == len(reads)
    for (one, width), (other, wider) in zip(
        zip(reads, widths, strict=True), list(zip(reads, widths, strict=True))[1:], strict=False
    ):
        assert abs(width * other - wider * one) <= 0.05 * max(width * other, wider * one)
    assert page.evaluate("window.ran === undefined")
    assert page.locator("script, img").count() == 0
    for name in NASTY:
        assert page.get_by_text(name, exact=True).count() > 0, name
    assert wrong == []
    assert asked == [path.as_uri()]
    context.close()


class Elsewhere(BaseHTTPRequestHandler):
    """Keeps what it is asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def elsewhere():
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("policy", [True, False])
def test_what_gets_into_a_page_all_the_same_runs_not(browser, elsewhere, tmp_path, policy):
    """By its own policy what escaping missed neither runs nor loads; without it, it would."""
    url = f"http://127.0.0.1:{elsewhere.server_port}/"
    wicked = (
        f"<script>window.ran=1</script><script src='{url}script'></script>"
        f"<img src='{url}image' onerror='window.ran=1'><svg onload='window.ran=1'></svg>"
        "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>"
        f"<link rel='stylesheet' href='{url}sheet'>"
        f"<style>body{{background:url({url}background)}}</style>"
    )
    text = write(sample(), "html").decode().replace("</main>", wicked + "</main>")
    if not policy:
        text = re.sub(r"<meta http-equiv[^>]*>", "", text)
    path = tmp_path / "report.html"
    path.write_text(text)
    page = browser.new_page()
    page.goto(path.as_uri(), wait_until="networkidle")
    ran = page.evaluate("window.ran")
    page.close()
    if policy:
        assert (ran, elsewhere.asked) == (None, [])
    else:
        assert ran == 1
        assert {"/script", "/image", "/sheet", "/background"} <= set(elsewhere.asked)


def test_every_report_is_a_page_that_fits(browser, made, tmp_path):
    """No page is wider than a narrow window; printing makes pages, with the charts on them."""
    context = browser.new_context(viewport={"width": 480, "height": 800}, offline=True)
    page = context.new_page()
    wrong = []
    page.on("console", lambda told: wrong.append(told.text))
    for name, report in made.items():
        path = tmp_path / "report.html"
        path.write_bytes(write(report, "html"))
        page.goto(path.as_uri())
        assert page.locator("h1").inner_text() == report.title
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        for number in range(page.locator("figure svg").count()):
            box = page.locator("figure svg").nth(number).bounding_box()
            assert box["height"] > 30, name
            assert box["width"] > 200, name
    assert page.pdf(format="A4").startswith(b"%PDF-")
    assert wrong == []
    context.close()
