"""When a probe is worth sending, and how fast."""

from __future__ import annotations

import math
from collections import deque

from .aimd import FULL_PACKET
from .probes import ProbeCluster, ProbeResult

FIRST_SCALES = (3.0, 6.0)
"""Of the start rate: the first two probes (libwebrtc, `first_exponential_probe_scale`)."""

SCALE = 2.0
"""Of the estimate: any other (libwebrtc, `further_exponential_probe_scale`)."""

FURTHER = 0.7
"""A result of this share of the probe's rate is worth asking for more (libwebrtc)."""

PAUSE = 2.0
"""Between probes, s,"""

PAUSE_GROWTH = 1.5
"""times this for each that finds nothing (LiveKit: 1.5),"""

LONGEST_PAUSE = 5.0
"""up to this (libwebrtc's, while an application sends little)."""

HEADROOM = 1.2
"""No probe goes further beyond what is wanted (LiveKit: 1.2), but the one after silence."""

WORTH = 1.1
"""Nor is one sent for less than this times the estimate."""


class ProbePlanner:
    """Asks at the start, again as long as there is more, and now and then when nothing is known.

    There is no use of the link at which it does not ask: an application that sends 65 to 70 % of
    its estimate is neither idle enough for libwebrtc's probes nor busy enough for its growth, and
    would stay there (str0m, ``docs/BWE.md``, "Stagnant Estimate Probing").

    A probe that met the end of the link is the last one for a while.
    """

    __slots__ = ("_asked", "_awaited", "_is_restoring", "_next_at", "_next_id", "_pause")

    def __init__(self, start: float) -> None:
        """Plan the first ones.

        Args:
            start: The start rate, bit/s.
        """
        self._asked: deque[float] = deque(scale * start for scale in FIRST_SCALES)
        self._awaited: ProbeCluster | None = None
        self._is_restoring = False
        self._next_at = -math.inf
        self._next_id = 1
        self._pause = PAUSE

    def next(self, now: float, estimate: float, wanted: float) -> ProbeCluster | None:
        """The probe to send now, if any.

        Args:
            now: s.
            estimate: bit/s.
            wanted: What the application could use, bit/s.
        """
        if now < self._next_at + (0.0 if self._asked else self._pause):
            return None
        limit = math.inf if self._is_restoring and wanted > 0 else HEADROOM * wanted
        self._is_restoring = False
        bitrate = min(self._asked.popleft() if self._asked else SCALE * estimate, limit)
        if bitrate < WORTH * estimate:
            self._asked.clear()
            return None
        probe = ProbeCluster.at(self._next_id, round(bitrate))
        if not self._asked:
            # Unless it finds something, the next one has time.
            self._pause = min(self._pause * PAUSE_GROWTH, LONGEST_PAUSE)
        self._next_id += 1
        self._next_at = now + max(probe.min_bytes, probe.min_packets * FULL_PACKET) * 8 / bitrate
        self._awaited = probe
        return probe

    def found(self, result: ProbeResult, estimate: float) -> None:
        """A probe had a result: if it is more than the estimate, ask again.

        Args:
            result: What it found.
            estimate: Before, bit/s.
        """
        probe = self._awaited
        if probe is None or result.cluster != probe.id:
            return
        self._awaited = None
        if result.bitrate <= WORTH * estimate:
            return
        self._pause = PAUSE
        if not self._asked and not result.is_full and result.bitrate > FURTHER * probe.bitrate:
            self._asked.append(SCALE * result.bitrate)

    def ask(self, bitrate: float) -> None:
        """Ask for this rate next, and at once, bit/s; what was planned is void."""
        self._asked.clear()
        self._asked.append(bitrate)
        self._next_at = -math.inf

    def restore(self, bitrate: float) -> None:
        """This was there before a silence, bit/s: ask for it next, and at once, if anything is wanted.

        Receivers that were paused want their lowest step first, and would be granted the others one
        by one, as the estimate grows.
        """
        self.ask(bitrate)
        self._is_restoring = True

    def congested(self) -> None:
        """This is no time to ask."""
        self._asked.clear()
        self._is_restoring = False
