"""URIs of roots, and plug-ins that add schemes."""

import pytest

from adyton import roots
from adyton.errors import ConfigurationError
from adyton.roots import DevRoot, KeyFileRoot, PassphraseRoot, open_root, schemes
from isolated import run_isolated

PLUGIN = """
class Root:
    def __init__(self, rest, create, ask):
        self.seen = (rest, create, ask)

    @classmethod
    def from_uri(cls, rest, *, create, ask):
        return cls(rest, create, ask)

class NoRoot:
    pass
"""


def install(site, entries, *, package="plug", module=PLUGIN):
    """Put a package with entry points of the group into a directory, as pip would."""
    (site / f"{package}_module.py").write_text(module)
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[adyton.roots]\n" + "".join(f"{k} = {package}_module{v}\n" for k, v in entries.items())
    )


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_root_that_is_open_already_is_returned():
    """Callers may pass a root instead of a URI."""
    root = DevRoot()
    assert open_root(root) is root


@pytest.mark.parametrize(
    "uri", ["", ":", "hunter2", "hunter2:", "KEYFILE:x", " keyfile:x", "/etc/x"]
)
def test_unknown_schemes_are_refused_with_the_known_ones(uri):
    """The error lists the schemes there are, and does not repeat what was given."""
    with pytest.raises(ConfigurationError) as caught:
        open_root(uri)
    for known in ("'dev:'", "'keyfile:'", "'passphrase:'"):
        assert known in str(caught.value)
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"


def test_an_installed_plug_in_adds_a_scheme(site):
    """A class named by an entry point gets the rest of the URI, create and ask."""
    install(site, {"plug": ":Root"})
    assert "plug" in schemes()
    ask = object()
    assert open_root("plug:a:b?c=d", create=True, ask=ask).seen == ("a:b?c=d", True, ask)
    with pytest.raises(ConfigurationError, match="'plug:'"):
        open_root("plugg:x")


def test_a_plug_in_cannot_take_over_a_built_in_scheme(site, tmp_path):
    """An entry point called keyfile is ignored."""
    install(site, {"keyfile": ":Root", "dev": ":Root", "passphrase": ":Root"})
    assert isinstance(open_root(f"keyfile:{tmp_path}/k", create=True), KeyFileRoot)
    assert isinstance(open_root("dev:"), DevRoot)
    assert schemes().count("keyfile") == 1


def test_two_plug_ins_for_one_scheme_are_refused(site):
    """Which of two packages would get the master key is not left to chance."""
    install(site, {"plug": ":Root"}, package="one")
    install(site, {"plug": ":Root"}, package="two")
    with pytest.raises(ConfigurationError, match="one_module:Root, two_module:Root"):
        open_root("plug:x")


@pytest.mark.parametrize("value", [":Missing", "_absent:Root", ":NoRoot"])
def test_a_broken_plug_in_is_named(site, value):
    """A plug-in that can't be imported, or is none, is a ConfigurationError with its name."""
    install(site, {"plug": value})
    with pytest.raises(ConfigurationError, match="plug_module"):
        open_root("plug:x")


def test_a_plug_in_that_fails_on_import_does_not_touch_the_others(site):
    """Built-in roots open beside a plug-in whose import raises."""
    install(site, {"plug": ":Root"}, package="bad", module="raise RuntimeError('boom')")
    assert isinstance(open_root("dev:"), DevRoot)
    with pytest.raises(ConfigurationError, match="RuntimeError") as caught:
        open_root("plug:x")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_declared_entry_points_are_the_built_in_classes():
    """The entry points of this package name the classes that open_root has built in."""
    points = {p.name: p for p in roots.entry_points(group="adyton.roots")}
    expected = {"dev": DevRoot, "keyfile": KeyFileRoot, "passphrase": PassphraseRoot}
    for name, made in expected.items():
        assert points[name].load() is made


def test_the_public_names():
    """The package offers these names and no others."""
    assert roots.__all__ == [
        "Argon2Params", "Ask", "DevRoot", "KeyFileRoot", "PassphraseRoot", "RootFactory",
        "ShamirRoot", "keep_variables", "open_root", "schemes",
    ]  # fmt: skip
    assert all(hasattr(roots, name) for name in roots.__all__)


def test_opening_a_built_in_root_imports_no_plug_in(tmp_path):
    """Foreign code runs only when its scheme is asked for."""
    install(tmp_path, {"plug": ":Root"}, module="print('imported')")
    out = run_isolated(
        """
        import logging, sys
        sys.path.insert(0, sys.argv[1])
        logging.getLogger("adyton").setLevel(logging.ERROR)
        from adyton.roots import open_root, schemes
        open_root("dev:")
        print("plug" in schemes())
        """,
        str(tmp_path),
    )
    assert out.split() == ["True"]
