"""The package's own estimator, fed by packets on the fluid link."""

from __future__ import annotations

from collections import deque

from ...estimation import PacketResult, ProbeCluster, SendSideEstimator
from .clock import STEP
from .link import Link
from .packets import LARGEST, Packets
from .trace import Trace

FEEDBACK = 10
"""Feedback comes every this many steps, 0.1 s, and an estimate with it (libwebrtc: 50 to 250 ms)."""


class Real:
    """Sends packets, hears half a round trip later what became of them, and probes.

    Args:
        trace: The capacity.
        link: What it carries.
        wanted: What there is to send at most, bit/s.
    """

    interval: int = FEEDBACK

    def __init__(self, trace: Trace, link: Link, wanted: float) -> None:
        self._link = link
        self._wanted = wanted
        self._way_back = trace.rtt / 2
        self._packets = Packets(trace, link)
        self._estimator = SendSideEstimator()
        self._sequence = 0
        self._probe: ProbeCluster | None = None
        self._probe_packets = self._probe_bytes = 0
        # What is not told of yet: when it arrives (None: never), and its number.
        self._untold: deque[tuple[float | None, int]] = deque()
        self._lost: list[PacketResult] = []

    def estimate(self, step: int) -> float:
        """See `Estimator`."""
        now = step * STEP
        for sent_at, size, arrival in self._packets.cut(step):
            self._estimator.packet_sent(self._sequence, size, sent_at, self._probe_of(size))
            self._untold.append((arrival, self._sequence))
            self._sequence += 1
        results = self._feedback(now - self._way_back)
        if results:
            self._estimator.feedback(results, now)
            self._ask(now)
        return float(self._estimator.estimate)

    def _feedback(self, until: float) -> list[PacketResult]:
        """What has arrived up to then; what is missing is missed when the next one comes."""
        results: list[PacketResult] = []
        while self._untold:
            arrival, sequence = self._untold[0]
            if arrival is None:
                self._lost.append(PacketResult(sequence, None))
            elif arrival <= until:
                results += self._lost
                self._lost.clear()
                results.append(PacketResult(sequence, arrival))
            else:
                break
            self._untold.popleft()
        return results

    def _ask(self, now: float) -> None:
        probe = self._estimator.next_probe(now, self._wanted)
        if probe is not None:
            self._probe = probe
            self._probe_packets, self._probe_bytes = probe.min_packets, probe.min_bytes
            self._link.burst(probe.bitrate, max(probe.min_bytes, probe.min_packets * LARGEST))

    def _probe_of(self, size: int) -> int | None:
        """The probe that a packet belongs to."""
        probe = self._probe
        if probe is None:
            return None
        self._probe_packets -= 1
        self._probe_bytes -= size
        if self._probe_packets <= 0 and self._probe_bytes <= 0:
            self._probe = None
        return probe.id
