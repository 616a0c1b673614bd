"""The commands that check and show the configuration."""

import typer

from adyton.cli.state import state
from adyton.config import Configuration
from adyton.config.fields import settings_of
from adyton.config.load import DEFAULT

app = typer.Typer(no_args_is_help=True)


@app.command()
def check() -> None:
    """Check the configuration: every problem at once, and exit code 2 if there is one."""
    at = state()
    loaded = at.loaded(files=True)
    for warning in loaded.warnings:
        at.ui.warn(warning)
    loaded.checked()
    if at.ui.json:
        at.ui.document({"ok": True, "set": len(loaded.sources), "warnings": loaded.warnings})
    else:
        at.ui.done(f"the configuration is right; {len(loaded.sources)} settings are not defaults")


@app.command()
def show() -> None:
    """Show what each setting is and where it came from; secrets are not shown."""
    at = state()
    loaded = at.loaded()
    loaded.checked()
    rows = []
    for key, found in settings_of(Configuration).items():
        value = getattr(getattr(loaded.configuration, found.section), found.name)
        rows.append((key, found.shown(value), loaded.sources.get(key, DEFAULT)))
    if at.ui.json:
        at.ui.document({key: {"value": value, "source": source} for key, value, source in rows})
    else:
        at.ui.table(("SETTING", "VALUE", "FROM"), rows, "there are no settings")
