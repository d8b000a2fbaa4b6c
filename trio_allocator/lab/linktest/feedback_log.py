"""A log of what a sender sent and what feedback came, as `link-test --record` writes it.

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

from ...estimation import ProbeCluster, SendSideEstimator

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
    """Writes a log."""

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


class LoggedEstimator(SendSideEstimator):
    """An estimator of which a log is told what was sent, and which probes it gave.

    Args:
        log: Where to.
        start_bitrate: The estimate before the first feedback, bit/s.
    """

    def __init__(self, log: FeedbackLog, start_bitrate: float) -> None:
        super().__init__(start_bitrate=start_bitrate)
        self._log = log

    def packet_sent(self, sequence: int, size: int, now: float, cluster: int | None = None) -> None:
        """See `SendSideEstimator.packet_sent`."""
        super().packet_sent(sequence, size, now, cluster)
        self._log.packet_sent(now, sequence, size, cluster)

    def next_probe(self, now: float, wanted: float | None = None) -> ProbeCluster | None:
        """See `SendSideEstimator.next_probe`."""
        probe = super().next_probe(now, wanted)
        if probe is not None:
            self._log.probe_given(now, wanted)
        return probe
