"""Makes this folder's PNG files of rare kinds and what Pillow's convert("RGB") makes of each, NAME.rgb:
pip install pillow; python3 make.py"""

import struct
import zlib

from PIL import Image

W = H = 4


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(name, depth, colour, row, *extra):
    """By hand, because Pillow does not write all kinds. row(y) is a row's bytes."""
    with open(name + ".png", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, depth, colour, 0, 0, 0)))
        for e in extra:
            f.write(chunk(*e))
        f.write(chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row(y) for y in range(H)))) + chunk(b"IEND", b""))
    with open(name + ".rgb", "wb") as f:
        f.write(Image.open(name + ".png").convert("RGB").tobytes())


def words(y, n):
    """n 16-bit samples of a row: near 0, near 65535, and with low bytes of 127, 128 and 255 between."""
    return struct.pack(f">{n}H", *((4369 * (n * y + x) * 3 + (0, 127, 128, 255)[x % 4]) % 65536 for x in range(n)))


png("grey16", 16, 0, lambda y: words(y, W))
with open("grey16.rgb", "wb") as f:  # not Pillow's, which makes all above 255 of 65535 white: the high byte, as of rgb16
    f.write(b"".join(words(y, W)[2 * x : 2 * x + 1] * 3 for y in range(H) for x in range(W)))
png("rgb16", 16, 2, lambda y: words(y, 3 * W))
png("rgba16", 16, 6, lambda y: words(y, 4 * W))
png("grey-alpha", 8, 4, lambda y: bytes(31 * y + 13 * x for x in range(2 * W)))
png("grey-1-bit", 1, 0, lambda y: bytes([(0b10110000, 0b01000000)[y % 2]]))
palette = (b"PLTE", bytes(range(0, 240, 20)))
png("palette-transparent", 8, 3, lambda y: bytes([0, 1, 2, 3]), palette, (b"tRNS", bytes([0, 100, 255])))
png("rgb-transparent-colour", 8, 2, lambda y: bytes([10, 20, 30] * W), (b"tRNS", struct.pack(">HHH", 10, 20, 30)))
