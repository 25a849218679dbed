"""First bytes: what is let in to a parser, and what is not."""

from __future__ import annotations

import pytest

from dubline.media.magic import sniff

_MP3 = bytes([0xFF, 0xFB, 0x90, 0x00])  # 128 kbit/s at 44.1 kHz: 417 bytes a frame


@pytest.mark.parametrize(
    ("head", "family"),
    [
        (b"\0\0\0\x18ftypisom" + bytes(12), "mp4"),
        (b"\0\0\x10\0moov" + bytes(12), "mp4"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "mp4"),
        (b"\x1a\x45\xdf\xa3" + bytes(12), "matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"fLaC" + bytes(12), "flac"),
        (b"OggS" + bytes(12), "ogg"),
        (b"ID3\x04" + bytes(12), "id3"),
        (b"FLV\x01" + bytes(12), "flv"),
        ((b"G" + bytes(187)) * 4, "mpegts"),
        (bytes(4) + (b"G" + bytes(191)) * 4, "mpegts"),
        (b"\0\0\x01\xba" + bytes(12), "mpeg"),
        (_MP3 + bytes(413) + _MP3, "mp3"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
    ],
)
def test_known_kinds(head: bytes, family: str) -> None:
    assert sniff(head) == family


@pytest.mark.parametrize(
    "head",
    [
        b"",
        bytes(4096),
        b"#EXTM3U\n#EXT-X-VERSION:3\n",
        b"ffconcat version 1.0\nfile x\n",
        b"\xef\xbb\xbf#EXTM3U\n",
        b"<?xml version='1.0'?><MPD/>",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
        b"\x89PNG\r\n\x1a\n" + bytes(16),
        b"PK\x03\x04" + bytes(16),
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"RIFF\0\0\0\0ACON",
        b"GIF89a" + bytes(16),
        _MP3 + bytes(600),
        b"G" * 10 + bytes(4000),
        b"\xff\xfe<\0?\0",
    ],
)
def test_everything_else_is_refused(head: bytes) -> None:
    assert sniff(head) is None
