"""How well a link was used: the figures, each defined in one place, the same for everybody.

All but what a sender says come from what passed the bottleneck, and not from what senders say.

* **utilisation**: bits that left the bottleneck, of those that it could have carried, from the
  start of the scenario to its end. Whatever was sent counts: media, retransmissions, padding.
* **queue delay**: how long 95 of 100 packets waited behind others at most, s. A packet's own
  transmission is not counted.
* **reaction**: from a drop of the capacity until what arrives at the bottleneck within 0.3 s is
  no more than it can carry in that time, s. The window is behind: who stops at once needs about
  0.3 s × (1 - new / old).
* **recovery**: from a rise of the capacity (or, in `pause`, from the flow's resumption) until
  what left the bottleneck within 1 s is 0.9 of what there is to have, s. A sender that does not get there
  before the capacity changes again is given all the time there was, so it is a lower bound.
* **overflow**: share of packets that found the queue full.
* **fairness**: Jain's index (Jain, Chiu, Hawe, 1984) of what the flows got within 5 s, on average
  over such spans in which all of them were active, the first 10 s not counted: 1 is equal, 0.5 is
  nothing for one of two. Over the whole time, two that starve each other in turn would be equal.
* **repeated**: the largest share of its estimate that a sender's retransmissions took within 1 s,
  as the sender says.
* **media**: share of what was sent that was media, as the senders say: the rest is headers,
  retransmissions and padding.
* **switches**, **taken back**, **withheld** (our flows only, as the senders say, the first 10 s not
  counted): changes of layer, and such as were undone within 1 s, for each picture and minute; and
  the share of the time, and for how long 95 times of 100 at most, in which a step fitted the
  estimate with a fifth to spare and was not given.

Where there is more than one drop or rise, the mean is taken; where there are more runs, of each
figure the median.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, median

from attrs import frozen

from ..judging import own_changes, spread, taken_back, withheld
from .result import FlowRecord, Packet, Run, percentile
from .scenarios import Drop, Rise, Scenario

_REACTION_WINDOW = 0.3
_RECOVERY_WINDOW = 1.0
_RECOVERED = 0.9
_SETTLING = 10.0
_SHARE = 5.0
_REPEATED_WINDOW = 1.0


@frozen
class Figures:
    """The figures of a run, or the medians of several; None where a figure makes no sense."""

    utilisation: float
    queue_delay: float
    reaction: float | None
    recovery: float | None
    overflow: float
    fairness: float | None
    repeated: float
    media: float
    switches: float | None = None
    taken_back: float | None = None
    withheld: float | None = None
    withheld_p95: float | None = None


def measure(run: Run) -> Figures:
    """The figures of one run."""
    scenario = run.scenario
    capacity = scenario.schedule.bits_between(0, scenario.duration)
    carried = [packet for packet in run.packets if packet.left is not None]
    in_time = [packet for packet in carried if _left(packet) <= scenario.duration]
    sent = sum(packet.size for packet in run.packets)
    return Figures(
        utilisation=8 * sum(packet.size for packet in in_time) / capacity,
        queue_delay=percentile([packet.waited or 0.0 for packet in carried], 0.95),
        reaction=_mean(_reaction(run.packets, drop) for drop in scenario.drops()),
        recovery=_mean(_recovery(carried, rise) for rise in scenario.rises()),
        overflow=run.overflowed / max(len(run.packets), 1),
        fairness=_fairness(carried, scenario),
        repeated=max(map(_repeated, run.flows), default=0.0),
        media=sum(flow.media for flow in run.flows) / max(sent, 1),
        **_choices(run),
    )


def combine(figures: Sequence[Figures]) -> Figures:
    """Of each figure the median, over the runs that have it.

    Args:
        figures: Of runs of one scenario, at least one.
    """
    return Figures(
        utilisation=median(one.utilisation for one in figures),
        queue_delay=median(one.queue_delay for one in figures),
        reaction=_median(one.reaction for one in figures),
        recovery=_median(one.recovery for one in figures),
        overflow=median(one.overflow for one in figures),
        fairness=_median(one.fairness for one in figures),
        repeated=median(one.repeated for one in figures),
        media=median(one.media for one in figures),
        switches=_median(one.switches for one in figures),
        taken_back=_median(one.taken_back for one in figures),
        withheld=_median(one.withheld for one in figures),
        withheld_p95=_median(one.withheld_p95 for one in figures),
    )


def _choices(run: Run) -> dict[str, float | None]:
    """What the pictures of our flows were given: the figures of `trio_allocator.lab.judging`."""
    duration = run.scenario.duration
    begin = min(_SETTLING, duration / 2)
    receivers = [one for flow in run.flows for one in flow.receivers]
    if not receivers:
        return {}
    minutes = len(receivers) * (duration - begin) / 60
    kept = [
        withheld(flow.receivers, flow.estimates, begin, duration)
        for flow in run.flows
        if flow.receivers
    ]
    lasted = [time for _share, times in kept for time in times]
    return {
        "switches": sum(len(own_changes(one, one.flows, begin)) for one in receivers) / minutes,
        "taken_back": sum(taken_back(one, begin) for one in receivers) / minutes,
        "withheld": fmean(share for share, _times in kept),
        "withheld_p95": spread("withheld", lasted)["withheld_p95"],
    }


def rates(moments: Iterable[tuple[float, int]], window: float) -> Iterator[tuple[float, float]]:
    """What came within a window, at each moment at which something came.

    Args:
        moments: Times, ascending, and bytes.
        window: s.

    Yields:
        A time, and the rate in the window that ends there, bit/s.
    """
    inside: deque[tuple[float, int]] = deque()
    total = 0
    for time, size in moments:
        inside.append((time, size))
        total += size
        while inside[0][0] <= time - window:
            total -= inside.popleft()[1]
        yield time, 8 * total / window


def bins(moments: Iterable[tuple[float | None, int]], width: float) -> dict[int, int]:
    """Bytes in each span of time that has any, by its number from 0.

    Args:
        moments: Times, and bytes; what has no time is left out.
        width: Of a span, s.
    """
    sums: dict[int, int] = {}
    for time, size in moments:
        if time is not None:
            number = math.floor(time / width)
            sums[number] = sums.get(number, 0) + size
    return sums


def _reaction(packets: Sequence[Packet], drop: Drop) -> float:
    moments = ((packet.arrived, packet.size) for packet in packets if packet.arrived < drop.until)
    for time, rate in rates(moments, _REACTION_WINDOW):
        if time >= drop.time and rate <= drop.capacity:
            return time - drop.time
    return drop.until - drop.time


def _recovery(carried: Sequence[Packet], rise: Rise) -> float:
    moments = (
        (_left(packet), packet.size) for packet in carried if rise.flow in {None, packet.flow}
    )
    for time, rate in rates(moments, _RECOVERY_WINDOW):
        if rise.time <= time < rise.until and rate >= _RECOVERED * rise.target:
            return time - rise.time
    return rise.until - rise.time


def _fairness(carried: Sequence[Packet], scenario: Scenario) -> float | None:
    flows = range(len(scenario.starts))
    if len(flows) < 2:
        return None
    got = [bins(((p.left, p.size) for p in carried if p.flow == n), _SHARE) for n in flows]
    indices = []
    for number in range(int(scenario.duration / _SHARE)):
        if not scenario.has_settled(number * _SHARE, (number + 1) * _SHARE, _SETTLING):
            continue
        shares = [flow.get(number, 0) for flow in got]
        squares = sum(share**2 for share in shares)
        if squares:
            indices.append(sum(shares) ** 2 / (len(shares) * squares))
    return _mean(indices)


def _repeated(flow: FlowRecord) -> float:
    times = [time for time, _estimate in flow.estimates]
    return max(
        (
            rate / flow.estimates[max(bisect_right(times, time) - 1, 0)][1]
            for time, rate in rates(flow.repeated, _REPEATED_WINDOW)
            if times
        ),
        default=0.0,
    )


def _left(packet: Packet) -> float:
    return math.inf if packet.left is None else packet.left


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None


def _median(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return median(found) if found else None
