"""Finding parts by name: those that are built in, and those of other packages."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from adyton.errors import ConfigurationError, InvalidInput


class Plugins:
    """Parts of one kind.

    Args:
        what: The kind, for errors.
        group: The group of entry points of other packages; each names a class without arguments.
        package: Where the built-in ones are, each in a module of its name.
        built_in: Their classes. These come first.
        extras: What has to be installed for some of them.
    """

    def __init__(
        self,
        what: str,
        group: str,
        package: str,
        built_in: Mapping[str, str],
        extras: Mapping[str, str],
    ) -> None:
        self._what = what
        self._group = group
        self._package = package
        self._built_in = built_in
        self._extras = extras

    def names(self) -> tuple[str, ...]:
        """Those that can be used here, built-in and installed."""
        return tuple(sorted({*self._built_in, *(point.name for point in self._points())}))

    def open(self, name: str) -> Any:  # noqa: ANN401 - whoever asks knows the kind
        """The one of a name.

        Raises:
            InvalidInput: There is none.
            ConfigurationError: What it needs is not installed, or a plug-in is broken.
        """
        if name in self._built_in:
            # Loaded on use: their libraries are extras.
            try:
                module = import_module(f"{self._package}.{name}")
            except ImportError:
                raise ConfigurationError(
                    f"the {self._what} '{name}' needs a library that is not installed",
                    hint=f"Run: pip install 'adyton[{self._extras.get(name, name)}]'",
                ) from None
            return getattr(module, self._built_in[name])()
        points = [point for point in self._points() if point.name == name]
        if not points:
            raise InvalidInput(
                f"there is no such {self._what}", hint=f"Known are {', '.join(self.names())}."
            )
        if len({point.value for point in points}) > 1:
            raise ConfigurationError(
                f"several packages offer a part of the kind '{self._what}' by one name",
                hint="Uninstall all but the one that you mean.",
            )
        try:
            return points[0].load()()
        except Exception as error:  # whatever a foreign module does when it is imported
            raise ConfigurationError(
                f"the plug-in of this {self._what} can't be loaded: {type(error).__name__}",
                hint="Install what it needs, or another version of it.",
            ) from error

    def _points(self) -> list[EntryPoint]:
        found = entry_points(group=self._group)
        return [point for point in found if point.name not in self._built_in]
