"""The page that opens a one-time link in a browser: whole in itself, and of this server alone."""

import base64
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from adyton.server.http import Request, Response

PATH: Final = "link"
_ALLOWED: Final = ("allow", "GET, HEAD")


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def _page() -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """The page and its headers: nothing runs or is loaded but what is in it."""
    folder = files("adyton.server") / "page"
    parts = {
        "style": (folder / "link.css").read_text("utf-8"),
        "argon2": (folder / "argon2.umd.min.js").read_text("utf-8"),
        "script": (folder / "link.js").read_text("utf-8"),
    }
    page = (folder / "link.html").read_text("utf-8")
    for name, text in parts.items():
        page = page.replace(f"{{{name}}}", text, 1)
    scripts = " ".join(_source(parts[name]) for name in ("argon2", "script"))
    policy = (
        f"default-src 'none'; script-src {scripts} 'wasm-unsafe-eval'; "
        f"style-src {_source(parts['style'])}; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    headers = (
        ("content-security-policy", policy),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "clipboard-write=(self)"),
        ("x-frame-options", "DENY"),
    )
    return page.encode(), headers


def answer(request: Request) -> Response:
    """The page; it says nothing of any link, which only the browser knows."""
    if request.method not in {"GET", "HEAD"}:
        return Response(405, headers=(_ALLOWED,)).identified(request.request_id)
    body, headers = _page()
    return Response(200, body, "text/html; charset=utf-8", headers).identified(request.request_id)
