"""The formats of import and export: documents from outside to values, and values to documents.

Nothing here reads or writes a store. A reader turns bytes into :class:`PortableSecret` values, all
of them checked, or raises; a writer turns such values into bytes. Who may do that, and the audit
record of it, are the caller's.

Each format is a module of its own, imported when it is used: ``bundle`` (``docs/spec/bundle.md``),
``dotenv``, ``json_doc``, ``yaml_doc``, and ``kv2``, which reads a live mount.
"""

from adyton.transfer.records import (
    PortableSecret,
    PortableVersion,
    TransferLimits,
    single_version,
)

__all__ = ["PortableSecret", "PortableVersion", "TransferLimits", "single_version"]
