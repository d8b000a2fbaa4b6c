"""From one receiver report to the next: the share of packets lost, over all streams."""

from __future__ import annotations

from .reports import ReceiverReport, ReportBlock

MOST_STREAMS = 255
"""Streams remembered: as many as a REMB can name. Beyond that, the one longest unheard of goes."""

LONGEST_STEP = 2**16
"""Packets of a stream between two reports: with more, or fewer than none, it began anew."""


class LossReader:
    """Makes one figure of the reports on several streams.

    The share that a report names counts each stream alike. Here each packet counts alike: what was
    expected and what was lost since the last report on each stream is added up, as libwebrtc does.
    """

    def __init__(self) -> None:
        self._last: dict[int, ReportBlock] = {}

    def read(self, report: ReceiverReport) -> float | None:
        """Take a report, whatever it says.

        Returns:
            The share lost since the last reports on its streams, 0 to 1; None if it says of no
            packet what became of it.
        """
        expected = lost = 0
        for block in report.blocks:
            last = self._last.pop(block.ssrc, None)
            self._last[block.ssrc] = block
            if last is None:
                continue
            packets = block.highest_sequence - last.highest_sequence
            if 0 <= packets < LONGEST_STEP:
                expected += packets
                # Duplicates make the sum of losses fall.
                lost += min(max(block.cumulative_lost - last.cumulative_lost, 0), packets)
        while len(self._last) > MOST_STREAMS:
            del self._last[next(iter(self._last))]
        return lost / expected if expected else None
