"""What befalls packets and reports besides a narrow link. Seeded, composable, and known by name.

An `Impairment` is data: what happens, how much, how often. For each link it begins an `Effect`,
which has the chances and the memory. Times are s and count from the start of the link; what happens
now and then happens at random moments that the seed decides.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Protocol

from attrs import Attribute, field, frozen

from .. import quantities

KEPT = 64
"""So many of the latest episodes are remembered: nothing that is asked for is older."""


class Link(Protocol):
    """What an impairment may know of the link, and do to it."""

    start: float
    queue_size: int
    delay: float

    def capacity(self, now: float) -> int:
        """bit/s."""
        ...

    def compete(self, now: float, size: int) -> tuple[float, float, float] | None:
        """Send a packet into the queue: how long it waits, when it left, when it arrives."""
        ...


class Effect:
    """What one impairment does to one link. The base does nothing: a link asks only what is overridden.

    Attributes:
        pauses: When the link transmits nothing; None for never.
        overtakes: Whether packets may arrive in another order than that in which they were sent.
    """

    pauses: Episodes | None = None
    overtakes: bool = False

    def enters(self, now: float, size: int) -> bool:
        """Whether a packet gets as far as the queue."""
        raise AssertionError("only those that override it are asked")

    def arrives(self, left: float, at: float) -> float:
        """When a packet arrives that left the link then and else arrived at `at`; inf for never."""
        raise AssertionError("only those that override it are asked")

    def reports(self, now: float, at: float) -> float | None:
        """When a report arrives that is sent now and else arrived at `at`; None for never."""
        raise AssertionError("only those that override it are asked")

    def clock(self, now: float, shown: float) -> float:
        """What the far end's clock shows, which else shows `shown`."""
        raise AssertionError("only those that override it are asked")

    def advance(self, now: float) -> None:
        """Do what is due up to now."""
        raise AssertionError("only those that override it are asked")


class Episodes:
    """What happens at moments that are found as time goes on; each with a length, or a value.

    Args:
        spans: (begin, length or value), s, ascending; may go on for ever.
    """

    def __init__(self, spans: Iterator[tuple[float, float]]) -> None:
        self._spans = spans
        self._begins: list[float] = []
        self._values: list[float] = []

    def at(self, time: float) -> tuple[bool, float]:
        """Whether a time is within a span, and when that changes next."""
        number = self._number(time)
        if number >= 0:
            end = self._begins[number] + self._values[number]
            if time < end:
                return True, end
        return False, self._begins[number + 1]

    def inside(self, time: float) -> bool:
        """Whether a time is within a span."""
        return self.at(time)[0]

    def value(self, time: float) -> float:
        """The value of the last that has begun; 0 before the first."""
        number = self._number(time)
        return self._values[number] if number >= 0 else 0.0

    def _number(self, time: float) -> int:
        while not self._begins or self._begins[-1] <= time < math.inf:
            begin, value = next(self._spans, (math.inf, 0.0))
            self._begins.append(begin)
            self._values.append(value)
            if len(self._begins) > 2 * KEPT:
                del self._begins[:KEPT], self._values[:KEPT]
        return bisect_right(self._begins, time) - 1


class Impairment(ABC):
    """What happens to packets and reports: data, to be shared by any number of links."""

    @property
    def feedback_interval(self) -> float | None:
        """How often the far end reports, s; None if this impairment does not say."""
        return None

    @abstractmethod
    def begin(self, chance: Random, link: Link) -> Effect:
        """Start with a link.

        Args:
            chance: The source of all that is random.
            link: What it happens to.
        """


def _above_zero(impairment: Impairment, attribute: Attribute[float], value: float) -> None:
    quantities.positive(attribute.name, value, "see its class")


def _is_share(impairment: Impairment, attribute: Attribute[float], value: float) -> None:
    quantities.share(attribute.name, value)


def _is_range(
    impairment: Impairment, attribute: Attribute[tuple[float, float]], value: tuple[float, float]
) -> None:
    least, most = value
    quantities.positive(attribute.name, least, "the least, s")
    quantities.positive(attribute.name, most, "the most, s")
    if least > most:
        raise ValueError(f"{attribute.name} must be (least, most), got {value!r}: turn it round")


def _spans(
    at: Sequence[tuple[float, float]],
    every: float,
    lengths: tuple[float, float],
    chance: Random,
    link: Link,
) -> Iterator[tuple[float, float]]:
    """The given spans, or random ones: 0.5 to 1.5 × `every` after the end of the one before."""
    if at:
        for begin, length in sorted(at):
            yield link.start + begin, length
        return
    end = link.start
    shortest, longest = lengths
    while True:
        begin = end + every * chance.uniform(0.5, 1.5)
        # Short ones are as frequent as long ones, by order of magnitude.
        length = shortest * (longest / shortest) ** chance.random()
        yield begin, length
        end = begin + length


@frozen(kw_only=True)
class Pauses(Impairment):
    """Now and then the link transmits nothing; what came in waits.

    Attributes:
        lengths: The shortest and the longest, s.
        every: The mean time between two, s.
        at: (begin, length), s, in place of random ones.
    """

    lengths: tuple[float, float] = field(default=(0.1, 0.5), validator=_is_range)
    every: float = field(default=10.0, validator=_above_zero)
    at: tuple[tuple[float, float], ...] = ()

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        effect = Effect()
        effect.pauses = Episodes(_spans(self.at, self.every, self.lengths, chance, link))
        return effect


@frozen(kw_only=True)
class Outages(Impairment):
    """Now and then everything gets lost, reports too.

    Attributes:
        lengths: The shortest and the longest, s.
        every: The mean time between two, s.
        at: (begin, length), s, in place of random ones.
    """

    lengths: tuple[float, float] = field(default=(1.0, 30.0), validator=_is_range)
    every: float = field(default=40.0, validator=_above_zero)
    at: tuple[tuple[float, float], ...] = ()

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _Outages(Episodes(_spans(self.at, self.every, self.lengths, chance, link)))


class _Outages(Effect):
    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes

    def enters(self, now: float, size: int) -> bool:
        return not self._episodes.inside(now)

    def reports(self, now: float, at: float) -> float | None:
        return None if self._episodes.inside(now) else at


@frozen(kw_only=True)
class LongerWay(Impairment):
    """Now and then packets take another way, longer or shorter, without overtaking.

    Attributes:
        extra: The least and the most that is added to the usual way, s.
        every: The mean time between two changes, s: from the usual way to a longer one, and back.
        at: (time, s to add from then on), in place of random ones.
    """

    extra: tuple[float, float] = field(default=(0.015, 0.2), validator=_is_range)
    every: float = field(default=20.0, validator=_above_zero)
    at: tuple[tuple[float, float], ...] = ()

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _LongerWay(Episodes(self._changes(chance, link)))

    def _changes(self, chance: Random, link: Link) -> Iterator[tuple[float, float]]:
        if self.at:
            for time, extra in sorted(self.at):
                yield link.start + time, extra
            return
        time = link.start
        least, most = self.extra
        while True:
            for extra in (least * (most / least) ** chance.random(), 0.0):
                time += self.every * chance.uniform(0.5, 1.5)
                yield time, extra


class _LongerWay(Effect):
    def __init__(self, changes: Episodes) -> None:
        self._changes = changes

    def arrives(self, left: float, at: float) -> float:
        return at + self._changes.value(left)


@frozen(kw_only=True)
class Batches(Impairment):
    """Packets arrive together, at the ends of equal spans of time.

    Attributes:
        spans: The shortest and the longest, s.
        every: How long one span is kept on average, s.
    """

    spans: tuple[float, float] = field(default=(0.02, 0.15), validator=_is_range)
    every: float = field(default=15.0, validator=_above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _Batches(Episodes(self._changes(chance, link)), self.spans[0])

    def _changes(self, chance: Random, link: Link) -> Iterator[tuple[float, float]]:
        time = link.start
        while True:
            yield time, chance.uniform(*self.spans)
            time += self.every * chance.uniform(0.5, 1.5)


class _Batches(Effect):
    def __init__(self, changes: Episodes, first: float) -> None:
        self._changes = changes
        self._first = first

    def arrives(self, left: float, at: float) -> float:
        if at == math.inf:
            return at
        span = self._changes.value(left) or self._first
        return math.ceil(at / span - 1e-9) * span


@frozen(kw_only=True)
class Jitter(Impairment):
    """Each packet is late by as much as chance wants.

    Attributes:
        most: The most, s; all up to that are equally likely.
        overtaking: Whether packets may overtake each other; if not, those behind a late one are
            late, too.
    """

    most: float = field(default=0.03, validator=_above_zero)
    overtaking: bool = False

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        effect = _Jitter(self.most, chance)
        effect.overtakes = self.overtaking
        return effect


class _Jitter(Effect):
    def __init__(self, most: float, chance: Random) -> None:
        self._most = most
        self._chance = chance

    def arrives(self, left: float, at: float) -> float:
        return at + self._most * self._chance.random()


@frozen(kw_only=True)
class Loss(Impairment):
    """Packets get lost by chance before the queue, each by itself.

    Attributes:
        share: The probability, 0 to 1.
    """

    share: float = field(default=0.02, validator=_is_share)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _Loss(self.share, chance)


class _Loss(Effect):
    def __init__(self, share: float, chance: Random) -> None:
        self._share = share
        self._chance = chance

    def enters(self, now: float, size: int) -> bool:
        return self._chance.random() >= self._share


@frozen(kw_only=True)
class BurstLoss(Impairment):
    """Packets get lost several in a row: a Gilbert-Elliott model that loses all in its bad state.

    Attributes:
        good: How many come through in a row, on average.
        bad: How many get lost in a row, on average.
    """

    good: float = field(default=200.0, validator=_above_zero)
    bad: float = field(default=5.0, validator=_above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _BurstLoss(self, chance)


class _BurstLoss(Effect):
    def __init__(self, model: BurstLoss, chance: Random) -> None:
        self._to_bad, self._to_good = 1 / model.good, 1 / model.bad
        self._chance = chance
        self._is_bad = False

    def enters(self, now: float, size: int) -> bool:
        if self._chance.random() < (self._to_good if self._is_bad else self._to_bad):
            self._is_bad = not self._is_bad
        return not self._is_bad


@frozen(kw_only=True)
class LostFeedback(Impairment):
    """Reports get lost by chance.

    Attributes:
        share: The probability, 0 to 1.
    """

    share: float = field(default=0.2, validator=_is_share)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _LostFeedback(self.share, chance)


class _LostFeedback(Effect):
    def __init__(self, share: float, chance: Random) -> None:
        self._share = share
        self._chance = chance

    def reports(self, now: float, at: float) -> float | None:
        return None if self._chance.random() < self._share else at


@frozen(kw_only=True)
class LateFeedback(Impairment):
    """Reports are late by as much as chance wants, in order.

    Attributes:
        most: The most, s.
    """

    most: float = field(default=0.3, validator=_above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _LateFeedback(self.most, chance)


class _LateFeedback(Effect):
    def __init__(self, most: float, chance: Random) -> None:
        self._most = most
        self._chance = chance
        self._last = -math.inf

    def reports(self, now: float, at: float) -> float | None:
        self._last = max(self._last, at + self._most * self._chance.random())
        return self._last


@frozen(kw_only=True)
class Policer(Impairment):
    """A token bucket drops what exceeds a rate, and never queues it.

    Attributes:
        share: The rate, as a share of the capacity at the time.
        depth: What the bucket holds, as a time at that rate, s.
    """

    share: float = field(default=0.8, validator=_above_zero)
    depth: float = field(default=0.1, validator=_above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _Policer(self, link)


class _Policer(Effect):
    LARGEST = 1_500
    """A packet passes a bucket that is full, however small the rate, bytes."""

    def __init__(self, model: Policer, link: Link) -> None:
        self._model = model
        self._link = link
        self._tokens = math.inf
        self._then = link.start

    def enters(self, now: float, size: int) -> bool:
        rate = self._model.share * self._link.capacity(now) / 8
        most = max(rate * self._model.depth, self.LARGEST)
        self._tokens = min(self._tokens + rate * (now - self._then), most)
        self._then = now
        if size > self._tokens:
            return False
        self._tokens -= size
        return True


@frozen(kw_only=True)
class DeepQueue(Impairment):
    """The queue holds much more than is good.

    Attributes:
        seconds: What it holds, as a time at the capacity that there is at first, s.
    """

    seconds: float = field(default=1.5, validator=_above_zero)

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        holds = int(self.seconds * link.capacity(link.start) / 8)
        link.queue_size = max(link.queue_size, holds)
        return Effect()


@frozen(kw_only=True)
class CompetingFlow(Impairment):
    """A flow in the same queue that fills it until it loses something (TCP's old way), now and then.

    Attributes:
        lengths: The shortest and the longest time for which it sends, s.
        every: The mean time between two, s.
        at: (begin, length), s, in place of random ones.
    """

    lengths: tuple[float, float] = field(default=(10.0, 40.0), validator=_is_range)
    every: float = field(default=30.0, validator=_above_zero)
    at: tuple[tuple[float, float], ...] = ()

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _CompetingFlow(_spans(self.at, self.every, self.lengths, chance, link), link)


class _CompetingFlow(Effect):
    """Slow start, then one packet more a round trip, and 0.7 × after a loss (RFC 9438's factor)."""

    SIZE = 1_500
    WINDOW = 10.0
    LEAST = 2.0
    BACK_OFF = 0.7

    def __init__(self, spans: Iterator[tuple[float, float]], link: Link) -> None:
        self._spans = spans
        self._link = link
        self._events: list[tuple[float, int, bool]] = []  # when, order, whether it came through
        self._order = 0
        self._begin, self._end = self._next_span()
        self._is_sending = False
        self._in_flight = 0
        self._window = self.WINDOW
        self._slow_start = True
        self._calm_until = -math.inf

    def _next_span(self) -> tuple[float, float]:
        begin, length = next(self._spans, (math.inf, 0.0))
        return begin, begin + length

    def advance(self, now: float) -> None:
        while True:
            heard = self._events[0][0] if self._events else math.inf
            turn = self._end if self._is_sending else self._begin
            if min(heard, turn) > now or min(heard, turn) == math.inf:
                return
            if turn < heard:
                self._is_sending = not self._is_sending
                if self._is_sending:
                    self._window, self._slow_start = self.WINDOW, True
                    self._send(turn)
                else:
                    self._begin, self._end = self._next_span()
            else:
                time, _order, came_through = heapq.heappop(self._events)
                self._in_flight -= 1
                self._learn(time, came_through=came_through)
                self._send(time)

    def _learn(self, time: float, *, came_through: bool) -> None:
        if came_through:
            self._window += 1.0 if self._slow_start else 1 / self._window
        elif time >= self._calm_until:
            self._window = max(self._window * self.BACK_OFF, self.LEAST)
            self._slow_start = False
            self._calm_until = time + 2 * self._link.delay + 0.1

    def _send(self, time: float) -> None:
        while self._is_sending and self._in_flight < int(self._window):
            passage = self._link.compete(time, self.SIZE)
            self._order += 1
            self._in_flight += 1
            back = self._link.delay
            # A loss shows when what was sent later is acknowledged: a queue's time later.
            when = time + 2 * back + 0.1 if passage is None else passage[2] + back
            heapq.heappush(self._events, (when, self._order, passage is not None))


@frozen(kw_only=True)
class ClockSteps(Impairment):
    """The far end's clock is set anew now and then.

    Attributes:
        steps: The smallest and the largest, s; forwards and backwards are equally likely.
        every: The mean time between two, s.
        at: (time, step), s, in place of random ones.
    """

    steps: tuple[float, float] = field(default=(0.02, 2.9), validator=_is_range)
    every: float = field(default=30.0, validator=_above_zero)
    at: tuple[tuple[float, float], ...] = ()

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _ClockSteps(Episodes(self._changes(chance, link)))

    def _changes(self, chance: Random, link: Link) -> Iterator[tuple[float, float]]:
        offset = 0.0
        if self.at:
            for time, step in sorted(self.at):
                offset += step
                yield link.start + time, offset
            return
        time = link.start
        least, most = self.steps
        while True:
            time += self.every * chance.uniform(0.5, 1.5)
            offset += chance.choice((-1, 1)) * least * (most / least) ** chance.random()
            yield time, offset


class _ClockSteps(Effect):
    def __init__(self, changes: Episodes) -> None:
        self._changes = changes

    def clock(self, now: float, shown: float) -> float:
        return shown + self._changes.value(now)


@frozen(kw_only=True)
class ClockDrift(Impairment):
    """The far end's clock is too fast.

    Attributes:
        share: By how much; 0.0001 is 100 ppm. Negative: too slow.
    """

    share: float = 500e-6

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return _ClockDrift(self.share, link.start)


class _ClockDrift(Effect):
    def __init__(self, share: float, start: float) -> None:
        self._share = share
        self._start = start

    def clock(self, now: float, shown: float) -> float:
        return shown + self._share * (now - self._start)


@frozen(kw_only=True)
class FeedbackEvery(Impairment):
    """The far end reports at an interval.

    Attributes:
        interval: s.
    """

    interval: float = field(default=0.1, validator=_above_zero)

    @property
    def feedback_interval(self) -> float:
        """See `Impairment`."""
        return self.interval

    def begin(self, chance: Random, link: Link) -> Effect:
        """See `Impairment.begin`."""
        return Effect()


@frozen
class KnownImpairment:
    """An impairment that can be asked for by name.

    Attributes:
        name: Its name.
        description: What happens, for people.
        source: Where it is known from.
        impairment: The impairment itself.
    """

    name: str
    description: str
    source: str
    impairment: Impairment


IMPAIRMENTS: Mapping[str, KnownImpairment] = MappingProxyType(
    {
        known.name: known
        for known in (
            KnownImpairment(
                "pauses",
                "every 10 s the link stands still for 0.1 to 0.5 s, then sends what waited",
                "Wi-Fi scans and hand-overs; RFC 8869, sections 3 and 4",
                Pauses(),
            ),
            KnownImpairment(
                "longer-way",
                "every 20 s the way gets 15 to 200 ms longer, or as short as before",
                "changes of route, and hand-overs between cells; RFC 8869, section 3",
                LongerWay(),
            ),
            KnownImpairment(
                "batches",
                "packets arrive together, at the ends of spans of 20 to 150 ms",
                "frame aggregation and power saving of IEEE 802.11; receivers that poll",
                Batches(),
            ),
            KnownImpairment(
                "jitter",
                "each packet is up to 30 ms late, and none overtakes another",
                "RFC 8868 on jitter models: random, without reordering",
                Jitter(),
            ),
            KnownImpairment(
                "overtaking",
                "each packet is up to 50 ms late, and some overtake others",
                "RFC 8868 on jitter models: random and bounded; RFC 4737 on reordering",
                Jitter(most=0.05, overtaking=True),
            ),
            KnownImpairment(
                "loss",
                "2 % of the packets get lost, each by itself",
                "RFC 8868 on loss; libwebrtc's estimator calls up to 2 % no congestion",
                Loss(),
            ),
            KnownImpairment(
                "burst-loss",
                "packets get lost five in a row, after 200 that came through",
                "Gilbert (1960) and Elliott (1963); RFC 8868 on loss",
                BurstLoss(),
            ),
            KnownImpairment(
                "lost-feedback",
                "20 % of the reports get lost",
                "draft-holmer-rmcat-transport-wide-cc-extensions-01: reports are not repeated",
                LostFeedback(),
            ),
            KnownImpairment(
                "late-feedback",
                "reports are up to 300 ms late",
                "a busy way back: RFC 8867, section 5.3",
                LateFeedback(),
            ),
            KnownImpairment(
                "policer",
                "what exceeds 0.8 × the capacity by more than 0.1 s of it is dropped, not queued",
                "Flach et al., An Internet-Wide Analysis of Traffic Policing, SIGCOMM 2016",
                Policer(),
            ),
            KnownImpairment(
                "outage",
                "every 40 s everything gets lost for 1 to 30 s, reports too",
                "tunnels and lifts; RFC 8869, section 3",
                Outages(),
            ),
            KnownImpairment(
                "deep-queue",
                "the queue holds 1.5 s at the capacity that there is at first",
                "Gettys and Nichols, Bufferbloat: Dark Buffers in the Internet, 2011",
                DeepQueue(),
            ),
            KnownImpairment(
                "competing-flow",
                "for 10 to 40 s at a time another flow fills the queue until it loses something",
                "RFC 8867, section 5.6; the window is that of TCP, its back-off RFC 9438's",
                CompetingFlow(),
            ),
            KnownImpairment(
                "clock-steps",
                "every 30 s the far end's clock is set by 20 ms to 2.9 s",
                "time synchronisation on a peer that takes arrivals from its wall clock",
                ClockSteps(),
            ),
            KnownImpairment(
                "clock-drift",
                "the far end's clock is 500 ppm too fast",
                "cheap quartzes; RFC 3550 warns of it in appendix A.8",
                ClockDrift(),
            ),
            KnownImpairment(
                "feedback-50ms",
                "the far end reports every 50 ms",
                "libwebrtc's shortest interval is 50 ms",
                FeedbackEvery(interval=0.05),
            ),
            KnownImpairment(
                "feedback-100ms",
                "the far end reports every 100 ms",
                "libwebrtc's usual interval is 100 ms",
                FeedbackEvery(interval=0.1),
            ),
        )
    }
)
"""All that have a name."""


def find_impairments(names: str) -> tuple[Impairment, ...]:
    """The impairments with these names.

    Args:
        names: Separated by commas; blanks around them do not count. An empty text is for none.

    Raises:
        ValueError: One is not known; the message lists those that are.
    """
    found: dict[str, Impairment] = {}
    for part in names.split(","):
        name = part.strip()
        if not name:
            continue
        if name not in IMPAIRMENTS:
            known = ", ".join(IMPAIRMENTS)
            raise ValueError(f"there is no impairment {name!r}: choose from {known}")
        found[name] = IMPAIRMENTS[name].impairment
    return tuple(found.values())


def feedback_interval(impairments: Sequence[Impairment], usual: float) -> float:
    """How often the far end reports, s: what the last of these says, else what is usual."""
    said = [i.feedback_interval for i in impairments if i.feedback_interval is not None]
    return said[-1] if said else usual
