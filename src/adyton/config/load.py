"""Puts the configuration together: defaults, then the file, the environment, and flags.

Whatever is wrong is collected, so that all of it is told at once.
"""

import difflib
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from adyton.config.conflicts import conflicts, doubts, missing_files, unknown_places
from adyton.config.fields import BadValue, Setting, settings_of
from adyton.config.settings import Configuration
from adyton.errors import ConfigurationError

_MAX_FILE_BYTES: Final = 1024 * 1024
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, where its settings came from, and what is wrong with it.

    Attributes:
        configuration: The settings; of those that are wrong, the default.
        sources: Where each setting that is not a default came from, by its key.
        problems: What is wrong, each with its place.
        warnings: What is probably not meant.
    """

    configuration: Configuration
    sources: Mapping[str, str]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def checked(self) -> Configuration:
        """The configuration, if nothing is wrong with it.

        Raises:
            ConfigurationError: Something is; the text tells all of it.
        """
        if not self.problems:
            return self.configuration
        text = self.problems[0]
        if len(self.problems) > 1:
            lines = "".join(f"\n  {problem}" for problem in self.problems)
            text = f"the configuration has {len(self.problems)} problems:{lines}"
        raise ConfigurationError(
            text, hint="See docs/guide/configuration.md; `adyton config check` looks again."
        )


def load(
    file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
    *,
    files: bool = False,
) -> Loaded:
    """Read the configuration; problems are collected, not raised.

    Args:
        file: The TOML file; None for none.
        environ: The environment.
        flags: Values of flags by the key of their setting; they win.
        files: Whether to look for the files, roots and sinks that settings name, too.
    """
    return _Loader(settings_of(Configuration)).load(file, environ, flags or {}, files=files)


class _Loader:
    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = settings
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}
        self._problems: list[str] = []
        self._warnings: list[str] = []

    def load(
        self,
        file: Path | None,
        environ: Mapping[str, str],
        flags: Mapping[str, object],
        *,
        files: bool,
    ) -> Loaded:
        if file is not None:
            self._read(file)
        self._from_environment(environ)
        for key, raw in flags.items():
            found = self._settings[key]
            self._take(found, raw, f"flag {found.rules.flag or key}")
        made = Configuration()
        for key, value in self._values.items():
            section, _, name = key.partition(".")
            part = replace(getattr(made, section), **{name: value})
            made = replace(made, **{section: part})
        outside = [*missing_files(made), *unknown_places(made)] if files else []
        for key, wrong in [*conflicts(made), *outside]:
            self._tell(self._sources.get(key, DEFAULT), key, wrong)
        for key, doubt in doubts(made):
            self._warnings.append(f"{self._sources.get(key, DEFAULT)}: {key}: {doubt}")
        return Loaded(made, self._sources, tuple(self._problems), tuple(self._warnings))

    def _tell(self, source: str, key: str, wrong: str) -> None:
        self._problems.append(f"{source}: {key}: {wrong}")

    def _take(self, found: Setting, raw: object, source: str) -> None:
        try:
            self._values[found.key] = found.parse(raw)
        except BadValue as error:
            self._tell(source, found.key, str(error))
        else:
            self._sources[found.key] = source

    # -- environment ----------------------------------------------------------------------------

    def _from_environment(self, environ: Mapping[str, str]) -> None:
        known = {found.environment: found for found in self._settings.values()}
        for name, found in known.items():
            if environ.get(name):
                self._take(found, environ[name], f"environment {name}")
        prefixes = {f"ADYTON_{found.section}_".upper() for found in self._settings.values()}
        for name in environ:
            if name not in known and any(name.startswith(prefix) for prefix in prefixes):
                self._warnings.append(f"environment {name} is no setting{_nearest(name, known)}")

    # -- file -----------------------------------------------------------------------------------

    def _read(self, file: Path) -> None:
        try:
            text = self._text(file)
            document = tomllib.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            self._problems.append(f"{file}: {_why(error)}")
            return
        lines = dict(_lines(text))
        sections = {found.section for found in self._settings.values()}
        for section, content in document.items():
            if section not in sections:
                keys = [key for key in self._settings if key.endswith(f".{section}")]
                near = f"; did you mean {keys[0]}?" if keys else _nearest(section, sections)
                self._unknown(file, section, lines, f"there is no such section{near}")
            elif not isinstance(content, dict):
                self._unknown(file, section, lines, f"is a section: write [{section}]")
            else:
                self._section(file, section, content, lines)

    def _section(
        self, file: Path, section: str, content: dict[str, Any], lines: Mapping[str, int]
    ) -> None:
        for name, raw in content.items():
            key = f"{section}.{name}"
            found = self._settings.get(key)
            if found is None:
                known = [each.name for each in self._settings.values() if each.section == section]
                self._unknown(file, key, lines, f"there is no such key{_nearest(name, known)}")
            elif found.rules.secret:
                self._unknown(
                    file,
                    key,
                    lines,
                    f"is a secret, give it by the environment: {found.environment}",
                )
            else:
                self._take(found, raw, _place(file, key, lines))

    def _unknown(self, file: Path, key: str, lines: Mapping[str, int], wrong: str) -> None:
        self._tell(_place(file, key, lines), key, wrong)

    def _text(self, file: Path) -> str:
        with file.open("rb") as opened:
            data = opened.read(_MAX_FILE_BYTES + 1)
            mode = file.stat().st_mode
        if len(data) > _MAX_FILE_BYTES:
            raise OSError(0, f"is longer than {_MAX_FILE_BYTES:,} bytes")
        if stat.S_IMODE(mode) & 0o022:
            self._warnings.append(
                f"{file}: others can write it, and it names the root of trust: chmod go-w"
            )
        return data.decode()


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "is not text in UTF-8"
    return f"is not TOML: {error}" if isinstance(error, ValueError) else "is nested too deep"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _place(file: Path, key: str, lines: Mapping[str, int]) -> str:
    line = lines.get(key)
    return f"{file}:{line}" if line else str(file)


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Where keys and sections stand, as far as a line shows it by itself."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[\s*([\w.\"'-]+)\s*\]", line):
            section = head[1].replace('"', "").replace("'", "")
            yield section, number
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            name = key[1].replace('"', "").replace("'", "")
            yield (f"{section}.{name}" if section else name), number
