"""Configuration: which source wins, what is accepted, and that everything wrong is told at once."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adyton.config import Configuration, HttpLimits, load
from adyton.config.fields import BadValue, setting, settings_of
from adyton.config.load import _Loader
from adyton.errors import ConfigurationError
from adyton.service.limits import Limits

SETTINGS = settings_of(Configuration)


def write(tmp_path, text):
    path = tmp_path / "adyton.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_without_any_source_all_are_defaults():
    """Defaults are right by themselves, and those of the store are those of the library."""
    loaded = load(None, {})
    assert loaded.checked() == Configuration()
    assert not loaded.sources
    assert not loaded.warnings
    assert Configuration().store_limits() == Limits()


def test_a_root_or_sink_of_no_known_kind_is_found_by_checking(tmp_path):
    """And not quoted: a passphrase may stand in the wrong place."""
    file = write(tmp_path, '[store]\nroot = "hunter2:x"\n[audit]\nsinks = ["syslog:"]\n')
    assert load(file, {}).problems == ()
    root, sinks = load(file, {}, files=True).problems
    assert root.startswith(f"{file}:2: store.root: ")
    assert "keyfile:" in root
    assert "hunter2" not in root
    assert sinks.startswith(f"{file}:4: audit.sinks: ")
    for good in ("keyfile:/k", "passphrase:", "shamir:3/5"):
        file = write(tmp_path, f'[store]\nroot = "{good}"\n[audit]\nsinks = ["file:/a"]\n')
        assert load(file, {}, files=True).problems == ()


def test_flags_win_over_the_environment_over_the_file(tmp_path):
    """For each setting the strongest source that names it decides, and is told."""
    file = write(
        tmp_path,
        '[server]\nlisten = "127.0.0.1:1"\ngrace = "1m"\ntidy = 7\n[audit]\nreveal = true\n',
    )
    environ = {"ADYTON_LISTEN": "127.0.0.1:2", "ADYTON_SERVER_GRACE": "2m", "ADYTON_USER": "x"}
    loaded = load(file, environ, {"server.listen": "127.0.0.1:3"})
    found = loaded.checked()
    assert found.server.listen == "127.0.0.1:3"
    assert found.server.grace == 120.0
    assert found.server.tidy == 7.0
    assert found.audit.reveal is True
    assert loaded.sources == {
        "server.listen": "flag --listen",
        "server.grace": "environment ADYTON_SERVER_GRACE",
        "server.tidy": f"{file}:4",
        "audit.reveal": f"{file}:6",
    }


def test_a_weaker_source_that_is_wrong_is_told_though_another_wins(tmp_path):
    """A mistake in the file does not hide behind a flag."""
    file = write(tmp_path, '[server]\nlisten = "nowhere"\n')
    assert load(file, {}, {"server.listen": "127.0.0.1:3"}).problems


def test_everything_wrong_is_told_at_once_with_file_line_key_and_nearest_key(tmp_path):
    """One look at the message is enough to mend the file."""
    file = write(
        tmp_path,
        '[server]\nlistn = "127.0.0.1:1"\ngrace = "soon"\n\n[sever]\nx = 1\n[limits]\n'
        'in_flight = 0\nbody_bytes = "1 parsec"\nbody_seconds = true\nquery_chars = 1.5\n'
        '[tls]\nkey = "/nonexistent/key"\n[audit]\nsinks = "file:a"\nreveal = "perhaps"\n',
    )
    loaded = load(file, {"ADYTON_STORE_MAX_BATCH": "many"}, files=True)
    with pytest.raises(ConfigurationError) as caught:
        loaded.checked()
    lines = caught.value.message.splitlines()
    assert lines[0] == "the configuration has 11 problems:"
    for told in (
        f"{file}:2: server.listn: there is no such key; did you mean listen?",
        f'{file}:3: server.grace: expected a time, in seconds or such as "30s" or "12h"',
        f"{file}:5: sever: there is no such section; did you mean server?",
        f"{file}:8: limits.in_flight: 0 is out of range: 1 to 1,000,000",
        f'{file}:9: limits.body_bytes: expected a size, in bytes or such as "32MiB"',
        f'{file}:10: limits.body_seconds: expected a time, in seconds or such as "30s" or "12h"',
        f"{file}:11: limits.query_chars: expected a whole number",
        f"{file}:16: audit.reveal: expected true or false",
        "environment ADYTON_STORE_MAX_BATCH: store.max_batch: expected a whole number",
        f"{file}:13: tls.key: there is a key and no certificate",
    ):
        assert any(line.strip().startswith(told) for line in lines), (told, lines)
    assert any("there is no file /nonexistent/key" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server\n", "is not TOML"),
        ("server = 1\n", "server: is a section: write [server]"),
        ("[[server]]\nlisten = 'a:1'\n", "is a section: write [server]"),
        ("listen = 'a:1'\n", "did you mean server.listen?"),
        ("[server]\nlisten = 'a:1'\nlisten = 'b:1'\n", "is not TOML"),
        ("[store]\nroot = 'pkcs11:token=a;object=b?pin-value=1234'\n", "holds a secret"),
        ("[tls]\ncert = 'a'\n", "a certificate and no key"),
        ("[tls]\nclient_ca = 'a'\n", "only over TLS"),
        ("[limits]\nin_flight = 99999999999999999999\n", "expected a whole number"),
        ("[limits]\nbody_seconds = 1" + "0" * 400 + "\n", "expected a time"),
        ("[limits]\nbody_seconds = 1" + "0" * 5000 + "\n", "is not TOML"),
        ("[limits]\nbody_seconds = nan\n", "expected a time"),
        ("[store]\nurl = \"a\\u0000b\"\n", "expected a text"),
        ("a = " + "[" * 5000, "is nested too deep"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(tmp_path, text, told):
    """Whatever is in it, the error tells what and where, and quotes no secret."""
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path, text), {}).checked()
    assert told in caught.value.message
    assert "1234" not in caught.value.message
    assert "adyton.toml" in caught.value.message


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    """Missing, a directory, not text, endless: an error of ours that names it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe[server]")
    for name in ("none", "folder", "binary"):
        with pytest.raises(ConfigurationError, match=name):
            load(tmp_path / name, {}).checked()
    with pytest.raises(ConfigurationError, match="longer than"):
        load(Path("/dev/zero"), {}).checked()


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("limits.body_bytes", "32MiB", 32 * 2**20),
        ("limits.body_bytes", "1_500 kB", 1_500_000),
        ("limits.body_bytes", "1.5k", 1_536),
        ("limits.body_bytes", 4096, 4096),
        ("limits.body_seconds", "250ms", 0.25),
        ("limits.body_seconds", "1m", 60.0),
        ("limits.body_seconds", "7", 7.0),
        ("keys.user_key_days", "36h", 1.5),
        ("keys.user_key_days", 30, 30.0),
        ("audit.reveal", "Yes", True),
        ("audit.sinks", "file:a file:b", ("file:a", "file:b")),
        ("audit.sinks", ["file:a b"], ("file:a b",)),
        ("tls.cert", "a.pem", Path("a.pem")),
        ("server.listen", "[::1]:0", "[::1]:0"),
    ],
)
def test_units(key, raw, value):
    """Text with a unit, and numbers in the setting's own."""
    found = SETTINGS[key].parse(raw)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("limits.body_bytes", "32 MIPS"), ("limits.body_bytes", "1.0001k"),
        ("limits.body_bytes", "30s"), ("limits.body_bytes", True), ("limits.body_bytes", "-1"),
        ("limits.body_seconds", "32MiB"), ("limits.body_seconds", "1e3"),
        ("limits.body_seconds", math.inf), ("limits.body_seconds", "\u0661s"),
        ("limits.in_flight", "5s"), ("limits.in_flight", None), ("limits.in_flight", [1]),
        ("audit.reveal", 1), ("audit.sinks", [1]), ("audit.sinks", {}), ("tls.cert", 5),
        ("server.listen", "::1:8200"), ("server.listen", "host:"), ("server.listen", ":80"),
        ("server.listen", "host:-1"), ("server.listen", "host:65536"), ("server.listen", ["a:1"]),
    ],
)  # fmt: skip
def test_wrong_values(key, raw):
    """A wrong type, unit, range or form is refused."""
    with pytest.raises(BadValue):
        SETTINGS[key].parse(raw)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(key=st.sampled_from(sorted(SETTINGS)), raw=anything)
def test_any_value_is_taken_within_its_range_or_refused(key, raw):
    """Nothing from a file gets in without being of the type and in the range, or ends otherwise."""
    found = SETTINGS[key]
    try:
        value = found.parse(raw)
    except BadValue:
        return
    low, high = found.rules.at_least, found.rules.at_most
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert low is None or value >= low
        assert high is None or value <= high
    assert found.shown(value)


def test_settings_are_told_by_names_that_are_their_own():
    """No two settings share a variable or a flag; each has a help that ends as a sentence."""
    names = [found.environment for found in SETTINGS.values()]
    flags = [found.rules.flag for found in SETTINGS.values() if found.rules.flag]
    assert len(set(names)) == len(names)
    assert len(set(flags)) == len(flags)
    for found in SETTINGS.values():
        assert found.rules.help.endswith(".")
        assert found.default is None or found.parse(found.default) == found.default
        assert found.optional == (found.default is None)


def test_the_configuration_does_not_change():
    """It is frozen, section by section."""
    made = Configuration()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.server = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.limits.in_flight = 1
    assert HttpLimits() == made.limits


@dataclasses.dataclass(frozen=True, slots=True)
class _Hidden:
    """A section with a secret."""

    password: str = setting("", "What nobody may see.", secret=True)


@dataclasses.dataclass(frozen=True, slots=True)
class _WithSecret:
    hidden: _Hidden = _Hidden()


def test_a_secret_is_refused_in_the_file_and_never_shown(tmp_path):
    """It comes from the environment, and no message repeats it."""
    found = settings_of(_WithSecret)["hidden.password"]
    loader = _Loader({found.key: found})
    loader._read(write(tmp_path, "[hidden]\npassword = 'hunter2'\n"))
    assert "give it by the environment: ADYTON_HIDDEN_PASSWORD" in loader._problems[0]
    assert "hunter2" not in loader._problems[0]
    loader._from_environment({"ADYTON_HIDDEN_PASSWORD": "hunter2"})
    assert loader._values == {"hidden.password": "hunter2"}
    assert found.shown("hunter2") == "(set)"


# -- the command line ------------------------------------------------------------------------------


def adyton(*args, code=0, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ADYTON_")}
    done = subprocess.run(
        [Path(sys.executable).parent / "adyton", *args],
        capture_output=True, text=True, check=False, timeout=60, env={**clean, **env},
    )  # fmt: skip
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def test_check_and_show(tmp_path):
    """`config check` tells all problems with exit code 2; `config show` tells value and source."""
    file = write(tmp_path, '[server]\nlisten = "127.0.0.1:8300"\n[limits]\nbody_bytes = "8MiB"\n')
    assert "2 settings are not defaults" in adyton("config", "check", "--config", file).stderr
    shown = adyton("config", "show", "--output", "json", ADYTON_CONFIG=str(file))
    shown = json.loads(shown.stdout)
    assert shown["server.listen"] == {"value": "127.0.0.1:8300", "source": f"{file}:2"}
    assert shown["limits.body_bytes"] == {"value": "8 MiB", "source": f"{file}:4"}
    assert shown["store.url"] == {"value": "adyton.db", "source": "default"}
    assert set(shown) == set(SETTINGS)
    file.chmod(0o666)
    warned = adyton("config", "check", "--config", file, ADYTON_LIMITS_BODYBYTES="1").stderr
    assert "others can write it" in warned
    assert "did you mean ADYTON_LIMITS_BODY_BYTES?" in warned
    file.write_text("[server]\nlistn = 1\n[limits]\nin_flight = -1\n")
    told = adyton("config", "check", "--config", file, code=2).stderr
    assert "server.listn" in told
    assert "limits.in_flight" in told
    assert "server.listn" in adyton("serve", "--dev", "--config", file, code=2).stderr


def test_commands_take_store_and_root_from_the_file(tmp_path):
    """`init`, `set` and `get` work on what the file names; a flag wins over it."""
    file = write(
        tmp_path,
        f'[store]\nurl = "{tmp_path}/s.db"\nroot = "keyfile:{tmp_path}/k"\nmax_value_bytes = 10\n',
    )
    adyton("--config", file, "init")
    value = tmp_path / "value"
    value.write_text("short")
    adyton("--config", file, "set", "a", "--user", "1", "--file", value)
    assert adyton("get", "a", "--user", "1", ADYTON_CONFIG=str(file)).stdout == "short"
    value.write_text("longer than ten")
    adyton("--config", file, "set", "b", "--user", "1", "--file", value, code=2)
    adyton("--config", file, "--store", "/nonexistent.db", "get", "a", "--user", "1", code=6)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"server.listen": "0.0.0.0:8200"}, "server.listen: others can reach the server"),
        ({"server.listen": "vault.example.org:8200"}, "server.listen: others can reach the server"),
        ({"server.listen": "0.0.0.0:1", "tls.cert": "a", "tls.key": "b"}, ""),
        ({"server.listen": "localhost:1"}, ""),
        ({"server.listen": "127.9.9.9:1"}, ""),
        ({"server.listen": "[::1]:1"}, ""),
        ({"limits.body_bytes": "64KiB"}, "limits.body_bytes: is smaller than store.max_value_byt"),
        ({"limits.body_bytes": "64KiB", "store.max_value_bytes": "64KiB"}, ""),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(flags, told):
    """It is told by `config check`, and stops nothing."""
    loaded = load(None, {}, flags)
    loaded.checked()
    assert len(loaded.warnings) == bool(told)
    assert told in "".join(loaded.warnings)


def test_the_file_in_the_guide_is_right(tmp_path):
    """The example of docs/guide/configuration.md is taken as it stands, with all it sets."""
    guide = Path(__file__).parents[2] / "docs" / "guide" / "configuration.md"
    example = guide.read_text().partition("```toml\n")[2].partition("```")[0]
    loaded = load(write(tmp_path, example), {})
    assert loaded.checked().limits.body_bytes == 8 * 2**20
    assert len(loaded.sources) == sum(" = " in line for line in example.splitlines())
