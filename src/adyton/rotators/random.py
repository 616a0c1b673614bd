"""A new value that nobody else has to be told of: whoever uses the secret reads it anew."""

from collections.abc import Callable, Mapping

from adyton.errors import InvalidInput
from adyton.rotating import Generated, Turn, known


class RandomRotator:
    """Promotes what the generator makes (``rotating.Rotator``)."""

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Take no settings and no admin.

        Raises:
            InvalidInput: There are some.
        """
        known(settings)
        if admin:
            raise InvalidInput("the rotator 'random' is let in nowhere", hint="Leave admin out.")

    def create(
        self,
        turn: Turn,  # noqa: ARG002 - the seam's
        generate: Callable[[], Generated],
    ) -> Generated:
        """Take what the generator makes."""
        return generate()

    def set(self, turn: Turn) -> None:
        """Nothing: there is no other place."""

    def test(self, turn: Turn) -> None:
        """Nothing."""

    def retire(self, turn: Turn) -> None:
        """Nothing."""

    def undo(self, turn: Turn) -> None:
        """Nothing."""
