"""Offers of a browser, and of peers that a browser is not."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parent / "data"

PUBLISH = (DATA / "chromium_publish.sdp").read_bytes().decode()
WATCH = (DATA / "chromium_watch.sdp").read_bytes().decode()


def without(offer, *words):
    """The offer without the lines in which one of these words is."""
    lines = offer.split("\r\n")
    return "\r\n".join(line for line in lines if not any(word in line for word in words))
