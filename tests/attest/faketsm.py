"""A stand-in for configfs-tsm as a real file system (FUSE), in a process of its own.

Usage: python faketsm.py MOUNTPOINT PROVIDER REPORT [AUX [TROUBLE]]

It does what the kernel's does as far as it is documented: a directory that is made holds files at
once and can be removed with them; ``inblob`` takes one write of at most 64 bytes, which counts when
it is closed; ``outblob`` cannot be read before. What is read is the file REPORT with the data at
its front, so that tests see what it was bound to. TROUBLE is ``busy:N`` (the first N reports fail
with EBUSY), ``steal:N`` (somebody else writes in between, N times), or ``gone`` (ENXIO).
"""

import errno
import stat
import sys
from pathlib import Path

import mfusepy

FILES = ("inblob", "outblob", "generation", "provider", "auxblob")


class Entry:
    def __init__(self):
        self.generation = 0
        self.pending = None
        self.data = None


class Tsm(mfusepy.Operations):
    use_ns = True

    def __init__(self, provider, report, aux, trouble):
        self.provider, self.report, self.aux = provider, report, aux
        self.kind, _, count = trouble.partition(":")
        self.left = int(count or 0)
        self.entries = {}

    def _split(self, path):
        name, _, file = path.lstrip("/").partition("/")
        return name, file

    def _entry(self, path):
        name, file = self._split(path)
        if name not in self.entries or (file and file not in FILES):
            raise mfusepy.FuseOSError(errno.ENOENT)
        if file == "auxblob" and not self.aux:
            raise mfusepy.FuseOSError(errno.ENOENT)
        return self.entries[name], file

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        _, file = self._entry(path)
        if not file:
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        mode = 0o200 if file == "inblob" else 0o400
        return {"st_mode": stat.S_IFREG | mode, "st_nlink": 1, "st_size": 0}

    def readdir(self, path, fh):
        name, _ = self._split(path)
        return [".", "..", *(FILES if name else self.entries)]

    def mkdir(self, path, mode):
        if self.kind == "gone":
            raise mfusepy.FuseOSError(errno.ENXIO)
        self.entries[self._split(path)[0]] = Entry()
        return 0

    def rmdir(self, path):
        self._entry(path)
        del self.entries[self._split(path)[0]]
        return 0

    def open(self, path, flags):
        self._entry(path)
        return 0

    def truncate(self, path, length, fh=None):
        return 0

    def write(self, path, data, offset, fh):
        entry, file = self._entry(path)
        if file != "inblob":
            raise mfusepy.FuseOSError(errno.EACCES)
        if offset or entry.pending is not None or len(data) > 64:
            raise mfusepy.FuseOSError(errno.EINVAL)
        entry.pending = bytes(data)
        return len(data)

    def flush(self, path, fh):
        entry, file = self._entry(path)
        if file == "inblob" and entry.pending is not None:
            entry.data, entry.pending = entry.pending, None
            entry.generation += 1
        return 0

    def read(self, path, size, offset, fh):
        entry, file = self._entry(path)
        if file == "outblob":
            if entry.data is None:
                raise mfusepy.FuseOSError(errno.EINVAL)
            if offset == 0:
                self._trouble(entry)
            content = entry.data + self.report[len(entry.data) :]
        else:
            content = {
                "generation": f"{entry.generation}\n".encode(),
                "provider": self.provider.encode() + b"\n",
                "auxblob": self.aux,
            }.get(file, b"")
        return content[offset : offset + size]

    def _trouble(self, entry):
        if self.left <= 0:
            return
        self.left -= 1
        if self.kind == "busy":
            raise mfusepy.FuseOSError(errno.EBUSY)
        if self.kind == "steal":
            entry.data, entry.generation = b"theirs", entry.generation + 1


if __name__ == "__main__":
    mount, provider, report, *rest = sys.argv[1:]
    aux = Path(rest[0]).read_bytes() if rest and rest[0] else b""
    trouble = rest[1] if len(rest) > 1 else ""
    tsm = Tsm(provider, Path(report).read_bytes(), aux, trouble)
    mfusepy.FUSE(tsm, mount, foreground=True, nothreads=True, direct_io=True)
