"""A log of what a sender sent and what feedback came: enough to work the estimates out again.

`EstimatorOptions.log` writes it, `link-test --record` does so to a file, and `replay` reads it.

It has a line of JSON for each event, in order of time, after one line that says what it is:

================================================  ==============================================
``{"log": "trio-allocator feedback", ...}``       first of all: ``"version": 1``; ``"tracks"``,
                                                  which has for each track its layers and their
                                                  rates in bit/s; ``"start_bitrate"``, bit/s
``{"t": 1.25, "sent": [17, 1200, null]}``         a packet was sent at 1.25 s: its transport-wide
                                                  sequence number (extended, it does not wrap),
                                                  its bytes (all above UDP), and the id of the
                                                  probe that it belongs to, or null
``{"t": 1.31, "probe": 2500000}``                 a probe was asked for and given, for so much as
                                                  the application could use, bit/s, or null
``{"t": 1.42, "rtcp": "8fcd0005..."}``            RTCP came, in hex: one packet or a compound
``{"t": 1.42, "estimate": 812000}``               what the recorded estimator made of it, bit/s;
                                                  read by nobody, to compare with
================================================  ==============================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO

from attrs import frozen

NAME = "trio-allocator feedback"
VERSION = 1


@frozen
class PacketSent:
    """A packet was sent; see the module."""

    time: float
    sequence: int
    size: int
    cluster: int | None


@frozen
class ProbeGiven:
    """A probe was asked for and given; see the module."""

    time: float
    wanted: float | None


@frozen
class RtcpReceived:
    """RTCP came; see the module."""

    time: float
    data: bytes


class FeedbackLog:
    """Writes a log.

    Args:
        file: Where to: a line of JSON for each event. The caller closes it.
        tracks: For each track, by its id, the ladder: variant name to bit/s.
        start_bitrate: What the estimator started with, bit/s.
    """

    def __init__(
        self, file: IO[str], tracks: Mapping[str, Mapping[str, int]], start_bitrate: int
    ) -> None:
        self._file = file
        self._write(
            {
                "log": NAME,
                "version": VERSION,
                "tracks": {name: dict(layers) for name, layers in tracks.items()},
                "start_bitrate": start_bitrate,
            }
        )

    def packet_sent(self, time: float, sequence: int, size: int, cluster: int | None) -> None:
        """A packet was sent."""
        self._write({"t": round(time, 6), "sent": [sequence, size, cluster]})

    def probe_given(self, time: float, wanted: float | None) -> None:
        """A probe was asked for and given."""
        self._write({"t": round(time, 6), "probe": wanted})

    def received(self, time: float, data: bytes) -> None:
        """RTCP came."""
        self._write({"t": round(time, 6), "rtcp": data.hex()})

    def estimated(self, time: float, estimate: int) -> None:
        """This was made of it."""
        self._write({"t": round(time, 6), "estimate": estimate})

    def _write(self, line: Mapping[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")
