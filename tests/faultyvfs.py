"""A file system for SQLite that fails when told to."""

import time

import apsw


class FaultyVfs(apsw.VFS):
    """SQLite's own file system, with faults switched on by name."""

    def __init__(self, name):
        self.fault = None
        self.syncs = 0
        super().__init__(name, "")
        self.made_as = name

    def xOpen(self, name, flags):  # noqa: N802 - SQLite's name
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    def __init__(self, vfs, name, flags):
        self.vfs = vfs
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802 - SQLite's name
        if self.vfs.fault == "full":
            raise apsw.FullError
        if self.vfs.fault == "write":
            raise apsw.IOError
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802 - SQLite's name
        self.vfs.syncs += 1
        if self.vfs.fault == "sync":
            raise apsw.IOError
        if self.vfs.fault == "slow":
            time.sleep(0.02)
        super().xSync(flags)
