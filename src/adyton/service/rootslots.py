"""Slots of the master key: what is written down of the root in each.

A *note* says what a root was when it was added, and when it last opened the master key. It is
sealed under the master key, so a stolen store does not tell where its roots are.
"""

from typing import Final

import msgspec

from adyton.crypto import context as ctx
from adyton.errors import IntegrityError
from adyton.ports import Rows, Transaction
from adyton.service.keyring import Keyring, NewMaster

_NAME: Final = "root-note-"


class Note(msgspec.Struct, array_like=True, frozen=True):
    """What is known of the root in a slot.

    Attributes:
        described: What the root said of itself.
        added_us: When it was added, microseconds since the epoch.
        tested_us: When it last opened the master key on request; 0 for never.
    """

    described: dict[str, str]
    added_us: int
    tested_us: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Note).decode


def _context(ring: Keyring, slot: int, master_version: int) -> bytes:
    return ctx.encode(
        ctx.LABEL_STORE_SETTING, ring.store_id, f"{_NAME}{slot}".encode(), ctx.u64(master_version)
    )


async def put_note(
    tx: Transaction, ring: Keyring, slot: int, note: Note, master: NewMaster | None = None
) -> None:
    """Write a slot's note, sealed under the current master key or one that comes to be."""
    version = master.version if master else ring.master_current
    sealer = master.key if master else ring.master(version)
    box = sealer.seal(_encode(note), _context(ring, slot, version))
    await tx.put_setting(f"{_NAME}{slot}", ctx.u64(version) + box)


async def note_of(rows: Rows, ring: Keyring, slot: int) -> Note | None:
    """A slot's note; None for a root of which nothing was written down.

    Raises:
        IntegrityError: It was changed.
    """
    stored = await rows.setting(f"{_NAME}{slot}")
    if not stored:
        return None
    version = int.from_bytes(stored[:8], "big")
    body = ring.master(version).open(stored[8:], _context(ring, slot, version))
    try:
        return _decode(body)
    except msgspec.MsgspecError:
        raise IntegrityError("the note of a root can't be read") from None


async def drop_slot(tx: Transaction, slot: int) -> None:
    """Destroy what a root has wrapped, with its note."""
    await tx.delete_master_slot(slot)
    await tx.put_setting(f"{_NAME}{slot}", b"")


async def move_notes(tx: Transaction, ring: Keyring, new: NewMaster) -> None:
    """Seal all notes under a new master key."""
    for slot in {row.slot for row in await tx.master_keys()}:
        note = await note_of(tx, ring, slot)
        if note is not None:
            await put_note(tx, ring, slot, note, new)
