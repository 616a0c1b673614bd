"""The container file: linted, unprivileged, from pinned parts, and with a check that works."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from servers import BIN

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "container" / "Containerfile"


def instructions():
    """Instructions with their text, in order; continued lines joined, comments left out."""
    text = re.sub(r"\\\n", " ", "\n".join(
        line for line in FILE.read_text().splitlines() if not line.startswith("#")
    ))  # fmt: skip
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def of(kind):
    return [text for name, text in instructions() if name == kind]


def test_the_linter_finds_nothing():
    """hadolint, with no rule left out."""
    done = subprocess.run([BIN / "hadolint", FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_runs_as_nobody_in_particular():
    """As a user with a number, set after everything that needs root."""
    names = [name for name, _ in instructions()]
    assert of("USER") == ["8200:8200"]
    assert "RUN" not in names[names.index("USER") :]
    assert of("EXPOSE") == ["8200"]


def test_everything_comes_with_its_hash():
    """Each installation is from a lock file with hashes, or of the wheel that was just built."""
    for command in " ".join(of("RUN")).split("&&"):
        if "pip install" in command:
            assert "--require-hashes" in command or "--no-index" in command, command
    for name in re.findall(r"requirements/\w+\.lock", FILE.read_text()):
        assert "--hash=sha256:" in (ROOT / name).read_text(), name


def test_the_image_gets_what_was_tested():
    """Its lock file has the very versions and hashes of the one that everything is tested with."""
    tested = (ROOT / "requirements" / "dev.lock").read_text()
    for line in (ROOT / "requirements" / "image.lock").read_text().splitlines():
        assert line in tested, line


def test_what_it_copies_is_there_and_not_ignored():
    """The ignore file lets through what is copied, and nothing that could be a secret."""
    ignored = (FILE.parent / "Containerfile.containerignore").read_text().split()
    assert ignored[0] == "*"
    for text in of("COPY"):
        if text.startswith("--from"):
            continue
        for source in text.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored


def test_it_names_no_host_but_the_base_images():
    """No package registry: where packages come from is whoever builds it to say."""
    text = FILE.read_text()
    assert not re.search(r"https?://(?!NAME|127\.0\.0\.1)", text)
    assert set(re.findall(r"[a-z0-9.-]+\.io", text)) == {"docker.io"}


def test_the_health_check_tells_the_truth(server):
    """Its own command: content with a server that answers, not with none."""
    text = of("HEALTHCHECK")[0]
    command = json.loads(text[text.index("[") :])
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/nonexistent"}
    good = subprocess.run(command, env=env | {"ADYTON_ADDR": server.addr}, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert good.returncode == 0, good.stderr
    bad = subprocess.run(command, env=env | {"ADYTON_ADDR": "http://127.0.0.1:9"},
                         capture_output=True, check=False)  # fmt: skip
    assert bad.returncode != 0


@pytest.mark.soak
def test_its_build_steps_work(tmp_path):
    """The RUN lines of the first stage, over a copy of what it copies, give a program that runs."""
    import shutil
    import sys

    for source in ("requirements/image.lock", "requirements/build.lock", "pyproject.toml",
                   "README.md", "src"):  # fmt: skip
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, target)
    text = FILE.read_text().partition("FROM ${BASE}\nRUN groupadd")[0]
    steps = re.findall(r"^RUN ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert len(steps) == 3
    for step in steps:
        script = step.replace("/opt/", f"{tmp_path}/opt/").replace(
            "python -m", f"{sys.executable} -m"
        )
        subprocess.run(["/bin/sh", "-ec", script], cwd=tmp_path, check=True)
    shown = subprocess.run([tmp_path / "opt/adyton/bin/adyton", "--version"], capture_output=True,
                           text=True, check=True)  # fmt: skip
    assert shown.stdout.startswith("adyton ")
