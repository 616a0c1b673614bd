"""Texts that must not turn up where they don't belong."""

import base64
import secrets


def forms(canary):
    """A canary as it could be written: plain, hex, base64 at each offset."""
    raw = canary.encode()
    yield raw
    yield raw.hex().encode()
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + raw)
        yield encoded[4:-4]


class Canaries:
    def __init__(self):
        self.all = {}

    def new(self, kind):
        canary = f"{kind}{secrets.token_hex(12)}"
        self.all[canary] = kind
        return canary

    def assert_absent(self, data, where):
        for canary, kind in self.all.items():
            for form in forms(canary):
                assert form not in data, f"a {kind} is in {where}"
