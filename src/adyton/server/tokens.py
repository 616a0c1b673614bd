"""The first token of a store's server."""

from adyton.service.access.gate import Gate
from adyton.service.access.spaces import Spaces
from adyton.service.access.tokens import Tokens
from adyton.wiring import Opened


def make_root_token(opened: Opened, text: str = "") -> str:
    """Make a root token of the operator's namespace; its text is told once.

    Args:
        opened: The open store.
        text: The token's text; empty for a random one.
    """
    core = opened.core
    tokens = Tokens(core, Gate(core, Spaces(core)))
    return core.commit.run_sync(tokens.create_root(opened.caller, text=text)).text
