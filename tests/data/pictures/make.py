#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the PNG files here; the JPEG files are solid.ppm and ramp.pgm (also written) by cjpeg -quality 95 [-progressive]."""
import struct
import sys
import zlib


def png(name, width, height, depth, kind, rows, extra=b""):
    def chunk(tag, body):
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = b"".join(b"\0" + r for r in rows)
    with open(name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def palette(colours):
    body = bytes(c for rgb in colours for c in rgb)
    return struct.pack(">I", len(body)) + b"PLTE" + body + struct.pack(">I", zlib.crc32(b"PLTE" + body))


# 6 x 4, red = 40 x, green = 60 y, blue = 7 (x + y)
png("rgb.png", 6, 4, 8, 2, [bytes(c for x in range(6) for c in (40 * x, 60 * y, 7 * (x + y))) for y in range(4)])
# the same grey 100, opaque to the left, half transparent in the middle, invisible to the right
png("alpha.png", 3, 1, 8, 6, [bytes((100, 100, 100, 255, 100, 100, 100, 128, 100, 100, 100, 0))])
png("grey16.png", 2, 2, 16, 0, [struct.pack(">HH", 0, 0xffff), struct.pack(">HH", 0x8080, 0x4040)])
png("palette.png", 4, 1, 2, 3, [bytes((0b00011011,))], palette([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]))
if "--jpeg-sources" in sys.argv:
    with open("solid.ppm", "wb") as f:
        f.write(b"P6 16 16 255\n" + bytes((180, 60, 20)) * 256)
    with open("ramp.pgm", "wb") as f:
        f.write(b"P5 32 16 255\n" + bytes(8 * x for x in range(32)) * 16)
