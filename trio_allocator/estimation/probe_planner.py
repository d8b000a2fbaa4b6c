"""When a probe is worth sending, and how fast."""

from __future__ import annotations

import math
from collections import deque

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
"""up to this, s."""

PATIENCE = 1.0
"""The result of a probe is waited for so long, s (libwebrtc)."""

HEADROOM = 1.2
"""No probe goes further beyond what is wanted (LiveKit: 1.2)."""

WORTH = 1.1
"""Nor is one sent for less than this times the estimate."""


class ProbePlanner:
    """Asks at the start, again as long as there is more, and now and then when nothing is known.

    There is no use of the link at which it does not ask: an application that sends 65 to 70 % of
    its estimate is neither idle enough for libwebrtc's probes nor busy enough for its growth, and
    would stay there (str0m, ``docs/BWE.md``, "stagnant estimate").
    """

    def __init__(self, start: float) -> None:
        self._next_id = 1
        self._asked: deque[float] = deque(scale * start for scale in FIRST_SCALES)
        self._probe: ProbeCluster | None = None
        self._sent_at = -math.inf
        self._pause = PAUSE
        self._best = 0.0

    def next(self, now: float, estimate: float, wanted: float) -> ProbeCluster | None:
        """The probe to send now, if any.

        Args:
            now: s.
            estimate: bit/s.
            wanted: What the application could use, bit/s; infinite for anything.
        """
        limit = HEADROOM * wanted
        if not self._asked:
            if now - self._sent_at < self._pause:
                return None
            self._asked.append(SCALE * estimate)
        bitrate = min(self._asked.popleft(), limit)
        if bitrate < WORTH * estimate:
            self._asked.clear()
            return None
        if self._probe is not None and now - self._sent_at >= self._pause:
            # Nothing came of the last one: see `found`.
            self._pause = min(self._pause * PAUSE_GROWTH, LONGEST_PAUSE)
        self._sent_at = now
        self._probe = ProbeCluster.at(self._next_id, round(bitrate))
        self._next_id += 1
        return self._probe

    def found(self, result: ProbeResult, estimate: float) -> None:
        """A probe had a result: when it is more than the estimate, ask for more.

        Args:
            result: What it found.
            estimate: Before, bit/s.
        """
        probe = self._probe
        if probe is None or result.bitrate <= WORTH * estimate:
            return
        self._pause = PAUSE
        if result.cluster == probe.id:
            self._probe = None
            if result.is_full:
                self._asked.append(result.bitrate)
            elif result.bitrate > FURTHER * probe.bitrate:
                self._asked.append(SCALE * result.bitrate)

    def changed(self) -> None:
        """The link is another than it was: ask soon."""
        self._pause = PAUSE

    def congested(self) -> None:
        """No time to ask."""
        self._asked.clear()
