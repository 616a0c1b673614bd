"""MessagePack by its specification alone, for vectors of what is stored."""


def packed(value):
    """A value as MessagePack: small maps and lists, short texts and bytes, numbers from 0 up."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if value < 128:
            return bytes([value])
        for mark, size in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
            if value < 1 << 8 * size:
                return bytes([mark]) + value.to_bytes(size, "big")
    if isinstance(value, str):
        data = value.encode()
        assert len(data) < 32
        return bytes([0xA0 | len(data)]) + data
    if isinstance(value, bytes):
        assert len(value) < 256
        return b"\xc4" + bytes([len(value)]) + value
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(packed(each) for each in value)
    assert len(value) < 16
    pairs = value.items()
    return bytes([0x80 | len(value)]) + b"".join(packed(k) + packed(v) for k, v in pairs)
