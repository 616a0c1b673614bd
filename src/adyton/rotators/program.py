"""A rotation by a program of the operator's: steps on its standard input, answers on its output.

The contract is ``docs/spec/rotation.md``, section 5. A program is named by its file's name alone
and found in one folder that the operator sets: a policy can't run anything else. Nothing secret is
in its arguments or environment. It runs in a process group of its own, which is ended as a whole.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from adyton.errors import InvalidInput, RotationError
from adyton.rotating import Generated, Turn, needed
from adyton.rotators import _message

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_WHO: Final = "the program"
_KEPT: Final = ("PATH", "LANG", "TZ")


class ProgramRotator:
    """Runs a program once for each step (``rotating.Rotator``)."""

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:  # noqa: ARG002 - the seam's
        """Check the program's name.

        Raises:
            InvalidInput: It is none.
        """
        if not _NAME.fullmatch(needed(settings, "program")):
            raise InvalidInput("the setting 'program' is not the name of a file")

    def create(self, turn: Turn, generate: Callable[[], Generated]) -> Generated:
        """Ask for a new value, with one to be taken if the program has none of its own."""
        value = generate()
        offered = Turn(turn.token, turn.settings, turn.bounds, turn.admin, turn.former, value.value)
        return _message.value_of(self._run("create", offered), value, _WHO)

    def set(self, turn: Turn) -> None:
        """The new value is to work."""
        self._run("set", turn)

    def test(self, turn: Turn) -> None:
        """Ask whether it does."""
        self._run("test", turn)

    def retire(self, turn: Turn) -> None:
        """The former value is to work no more."""
        self._run("retire", turn)

    def undo(self, turn: Turn) -> None:
        """The new value is to work no more."""
        self._run("undo", turn)

    def _run(self, step: str, turn: Turn) -> _message.Answer:
        path = _found(turn)
        told = {key: value for key, value in turn.settings.items() if key != "program"}
        lines = [_message.message(step, turn, told)]
        if turn.admin is not None:
            lines.append(_message.message("admin", Turn("", {}, turn.bounds, new=turn.admin), {}))
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        try:
            process = subprocess.Popen(  # noqa: S603 - a file of the operator's folder, no shell
                [str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise RotationError(f"the program can't be started: {error.strerror}") from None
        try:
            output, _ = process.communicate(b"\n".join(lines) + b"\n", turn.bounds.seconds)
        except subprocess.TimeoutExpired:
            raise RotationError("the program takes too long, and was ended") from None
        finally:
            _end(process)
        if process.returncode != 0:
            raise RotationError(f"the program ends with status {process.returncode}")
        if len(output) > _message.MAX_ANSWER:
            raise RotationError("the program's answer is too long")
        return _message.answer(output, _WHO)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the whole group: children that a program leaves behind hold values too."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError, ValueError):
                pipe.close()


def _found(turn: Turn) -> Path:
    folder, name = turn.bounds.programs, turn.settings.get("program", "")
    if folder is None:
        raise RotationError(
            "no programs may be run as rotators",
            hint="The operator names their folder in the setting rotation.programs.",
        )
    if not _NAME.fullmatch(name):
        raise RotationError("the setting 'program' is not the name of a file")
    path = folder.resolve() / name
    if path.is_symlink() or not path.is_file():
        raise RotationError("there is no such program in the folder of rotators")
    return path
