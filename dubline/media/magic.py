"""First bytes of the containers that are let in; everything else is refused before a parser sees it."""

from __future__ import annotations

HEAD_BYTES = 4096
"""How much of a file `sniff` wants to see."""

_MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"moof", b"styp"})
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def sniff(head: bytes) -> str | None:
    """Container family of a file from its first `HEAD_BYTES`, or None when it is none of ours.

    The name says what to expect and is no promise: the demuxer decides under its own whitelist.
    """
    for name, test in _TESTS:
        if test(head):
            return name
    return None


def _is_mp4(head: bytes) -> bool:
    size = int.from_bytes(head[:4], "big")
    return len(head) >= 12 and head[4:8] in _MP4_BOXES and (size >= 8 or size in (0, 1))


def _is_mpegts(head: bytes) -> bool:
    for packet, offset in ((188, 0), (192, 4), (204, 0)):
        marks = head[offset::packet]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return True
    return False


def _is_mpeg_audio(head: bytes) -> bool:
    """An MPEG audio frame header that is followed by another one (ISO/IEC 11172-3, 2.4.1.3)."""
    length = _frame_length(head)
    return length > 0 and (_frame_length(head[length : length + 4]) > 0 or len(head) <= length + 4)


def _frame_length(head: bytes) -> int:
    """Bytes of the layer II or III frame that starts here, 0 when none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = (head[1] >> 3) & 3, (head[1] >> 1) & 3
    rate_index, frequency = head[2] >> 4, (head[2] >> 2) & 3
    if version == 1 or layer in (0, 3) or rate_index in (0, 15) or frequency == 3:
        return 0
    is_mpeg1 = version == 3
    table = _LAYER23_LOW if not is_mpeg1 else _LAYER2 if layer == 2 else _LAYER3
    hertz = (44100, 48000, 32000)[frequency] >> {3: 0, 2: 1, 0: 2}[version]
    samples_by_8 = 72 if layer == 1 and not is_mpeg1 else 144
    return samples_by_8 * table[rate_index] * 1000 // hertz + ((head[2] >> 1) & 1)


_LAYER2 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LAYER3 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LAYER23_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _is_adts(head: bytes) -> bool:
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return False
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    after = head[length : length + 2]
    return length >= 7 and (len(after) < 2 or (after[0] == 0xFF and after[1] & 0xF6 == 0xF0))


_TESTS = (
    ("mp4", _is_mp4),
    ("matroska", lambda head: head.startswith(b"\x1a\x45\xdf\xa3")),
    ("avi", lambda head: head[:4] in (b"RIFF", b"RF64") and head[8:12] in (b"AVI ", b"AVIX")),
    ("wav", lambda head: head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE"),
    ("flac", lambda head: head.startswith(b"fLaC")),
    ("ogg", lambda head: head.startswith(b"OggS")),
    ("id3", lambda head: head.startswith(b"ID3") and len(head) > 10 and head[3] < 0x10),
    ("flv", lambda head: head.startswith(b"FLV\x01")),
    ("asf", lambda head: head.startswith(_ASF)),
    ("mpegts", _is_mpegts),
    ("mpeg", lambda head: head.startswith(b"\x00\x00\x01\xba")),
    ("mp3", _is_mpeg_audio),
    ("aac", _is_adts),
)
