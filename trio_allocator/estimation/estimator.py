"""The send side's estimate: what was sent, what was acknowledged, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .. import quantities
from .aimd import Phase, RateControl
from .carried import CarriedRate
from .explanation import EstimatorExplanation, Limit
from .loss import LOW, LossControl
from .meter import ArrivalMeter
from .probe_planner import ProbePlanner
from .probes import ProbeCluster, ProbeResults
from .reader import PacketResult
from .reported import ReportedRate
from .sent import CountedBytes, PacketCounts, SentPacket, SentPackets
from .silence import FACTOR, REPORT_PERIOD, Silence

START_BITRATE = 300_000
"""bit/s (libwebrtc, `kDefaultStartBitrate`)."""

MIN_BITRATE = 5_000
"""bit/s (libwebrtc, `kCongestionControllerMinBitrate`)."""

MAX_BITRATE = 100_000_000
"""bit/s."""

FEEDBACK_PERIOD = 2.0
"""Transport-wide feedback that has not come for this time comes no more, s: reports take over."""

RESTART = 0.5
"""After silence, the first feedback brings back this share of the rate before it; a probe tells
whether the rest is there as well."""


class SendSideEstimator:
    """Estimates the bandwidth of a connection from feedback on the packets sent over it.

    It is Google Congestion Control (draft-ietf-rmcat-gcc-02, and what libwebrtc has made of it),
    with a few things that it lacks; docs/estimation.md has them all, with their sources.

    It reads no clock: times are seconds of any one clock that does not go back; one that does is
    taken to stand still. Whatever feedback says, the estimate stays within its bounds, and is
    never above 1.5 × the rate that was sent, or what it started with.

    Args:
        start_bitrate: The estimate before the first feedback, bit/s.
        min_bitrate: It never falls below this, bit/s,
        max_bitrate: and never rises above this, bit/s.

    Raises:
        TypeError, ValueError: One of them is not a rate, or they are not in this order.
    """

    def __init__(
        self,
        *,
        start_bitrate: float = START_BITRATE,
        min_bitrate: float = MIN_BITRATE,
        max_bitrate: float = MAX_BITRATE,
    ) -> None:
        start = quantities.bitrate("start_bitrate", start_bitrate)
        self._least = quantities.bitrate("min_bitrate", min_bitrate)
        self._most = quantities.bitrate("max_bitrate", max_bitrate)
        if not 0 < self._least <= start <= self._most:
            raise ValueError(
                f"start_bitrate ({start}) must be from min_bitrate ({self._least}), above 0, "
                f"to max_bitrate ({self._most}) bit/s"
            )
        self._now = -math.inf
        self._estimate = start
        self._limit = Limit.START
        # What was sent, and what is known of it.
        self._sent = SentPackets()
        self._total = 0
        self._counted = CountedBytes()
        self._silence = Silence()
        self._is_told = False
        self._feedback_at = -math.inf
        # What is measured.
        self._meter = ArrivalMeter()
        self._clock_jumps = 0
        self._probes = ProbeResults()
        self._carried = CarriedRate()
        # What follows.
        self._control = RateControl(start, self._least, self._most)
        self._known: float = start
        self._carried_before = 0.0
        self._answered_at = -math.inf
        self._loss = LossControl()
        self._planner = ProbePlanner(start)
        self._reported = ReportedRate()
        self._receiver_limit = self._limit_ends = math.inf

    @property
    def estimate(self) -> int:
        """The estimate, bit/s."""
        return self._estimate

    @property
    def carried(self) -> int | None:
        """What the link was lately seen to carry while no queue stood, bit/s.

        That is the greatest rate acknowledged within the last seconds, padding and probes included
        (docs/estimation.md), 0 if there was none. None as long as no transport-wide feedback has
        come. An allocator may fill it without headroom.

        It is above the estimate only in silence, which says nothing of what the link carries: then
        it is what was seen before.
        """
        if self._feedback_at == -math.inf:
            return None
        if self._silence.is_silent:
            return round(self._carried_before)
        return min(round(self._carried.rate(self._now)), self._estimate)

    @property
    def wake_at(self) -> float:
        """When `advance` is due; `math.inf` for never."""
        return min(self._silence.due, self._limit_ends)

    # --- what happens ------------------------------------------------------------------------

    def packet_sent(self, sequence: int, size: int, now: float, cluster: int | None = None) -> None:
        """A packet left. The hot path: once a packet.

        Args:
            sequence: Its transport-wide sequence number, extended: it does not wrap around. As
                `PacketResult.sequence`.
            size: Bytes, everything above UDP counted; retransmissions and padding are packets, too.
            now: When, s.
            cluster: The probe that it belongs to (`ProbeCluster.id`); None for none.

        Raises:
            TypeError, ValueError: One of them is not usable; nothing changes.
        """
        if type(sequence) is not int:
            quantities.whole_number("sequence", sequence, -(2**63), 2**63)
        if type(size) is not int or not 0 <= size <= quantities.MAX_SIZE:
            size = quantities.size("size", size)
        if cluster is not None:
            quantities.whole_number("cluster", cluster, 0, 2**63)
        now = self._time(now)
        if now >= self._silence.due:
            self._wait(now)
        self._silence.sent(now)
        self._total += size
        self._sent.add(sequence, SentPacket(now, size, cluster, self._total))
        if cluster is not None:
            self._probes.sent(cluster, size)

    def feedback(
        self, results: Iterable[PacketResult], now: float, *, clock_jumps: int = 0
    ) -> None:
        """Feedback came, whatever it says: the estimate follows in this call.

        Args:
            results: What became of packets, in any order; what is not known is left out.
            now: When, s.
            clock_jumps: How often the peer's clock was set, as `FeedbackReader.clock_jumps` counts
                it. When it is another number than the last time, delays are measured anew.

        Raises:
            TypeError, ValueError: `now` is not a time, or `clock_jumps` no whole number; nothing
                changes.
        """
        if type(clock_jumps) is not int:
            quantities.whole_number("clock_jumps", clock_jumps, 0, 2**63)
        now = self._time(now)
        if clock_jumps != self._clock_jumps:
            self._clock_jumps = clock_jumps
            self._meter.clear()
        take_received = self._sent.received
        arrived = self._meter.arrived
        count = self._counted.take
        if self._silence.is_silent:
            self._recover(now)
        # What was lost before the rate was last lowered has been answered by that.
        answered_at = self._answered_at
        is_news = False
        received = lost = 0
        newest = -math.inf
        probed = None
        for sequence, arrival in results:
            if arrival is None:
                missing = self._sent.lost(sequence)
                if missing is not None:
                    is_news = True
                    lost += missing.sent_at > answered_at
                    self._counted.skip(missing)
                continue
            if not -quantities.MAX_BITRATE < arrival < quantities.MAX_BITRATE:
                continue  # no time that any clock can show
            told = take_received(sequence)
            if told is None:
                continue
            packet, was_lost = told
            sent_at, size, cluster, _total = packet
            is_news = True
            received += 1
            if was_lost:
                lost -= sent_at > answered_at
                counted, since = size, sent_at
            else:
                counted, since = count(packet)
            newest = max(newest, sent_at)
            arrived(sent_at, arrival, counted, since)
            if cluster is not None:
                self._probes.received(cluster, sent_at, arrival, size)
                probed = cluster
        if not is_news:
            return
        self._is_told = True
        self._feedback_at = now
        self._silence.heard()
        self._sent.forget(now)
        self._loss.count(received, lost)
        if received:
            self._follow(now, newest)
        if probed is not None:
            self._learn(probed, now)
        self._loss.judge(now, self._control.rate)
        self._conclude()

    def loss_reported(self, fraction: float, now: float) -> None:
        """A receiver report came. It counts for peers that send nothing better.

        Args:
            fraction: The share of packets lost since the last one, 0 to 1.
            now: When, s.

        Raises:
            TypeError, ValueError: One of them is not usable; nothing changes.
        """
        loss = quantities.share("fraction", fraction)
        now = self._time(now)
        if self._has_feedback(now):
            return
        self._hear_report(now)
        control = self._control
        if self._receiver_limit == math.inf:
            control.follow(self._reported.lost(control.rate, loss, now, self._total))
        self._loss.follow(loss, now, control.rate)
        self._conclude()

    def limit_reported(self, bitrate: float, now: float) -> None:
        """The peer wants no more than this (REMB); without better feedback, it is the estimate.

        That counts for `REPORT_PERIOD`: a peer that wants it longer says so again.

        Args:
            bitrate: bit/s.
            now: When, s.

        Raises:
            TypeError, ValueError: One of them is not usable; nothing changes.
        """
        limit = quantities.bitrate("bitrate", bitrate)
        now = self._time(now)
        self._receiver_limit = limit
        self._limit_ends = now + REPORT_PERIOD
        if not self._has_feedback(now):
            self._hear_report(now)
            control = self._control
            control.follow(self._reported.limited(control.rate, limit, now, self._total))
        self._conclude()

    def advance(self, now: float) -> None:
        """Nothing but time passed: feedback may be overdue. To be called at `wake_at`.

        Args:
            now: s.

        Raises:
            TypeError, ValueError: `now` is not a time.
        """
        self._wait(self._time(now))

    def next_probe(self, now: float, wanted: float | None = None) -> ProbeCluster | None:
        """A probe that is worth sending now; each is handed out once.

        Who can not send it may leave it: nothing waits for it.

        Args:
            now: s.
            wanted: What the application could use, bit/s: no probe goes far beyond it, but for one
                after silence, which asks for what was there before. None for as much as there is.

        Raises:
            TypeError, ValueError: One of them is not usable.
        """
        limit = math.inf if wanted is None else quantities.bitrate("wanted", wanted)
        now = self._time(now)
        if (
            self._control.phase is Phase.DRAINING
            or self._loss.rate is not None
            or self._silence.is_silent
        ):
            return None
        limit = min(limit, self._most, self._receiver_limit)
        return self._planner.next(now, self._estimate, limit)

    @property
    def rtt(self) -> float | None:
        """The round-trip time, smoothed, s; None while it is not known."""
        return self._meter.rtt

    def counts(self) -> PacketCounts:
        """How many packets were acknowledged, and how many were lost."""
        return self._sent.counts()

    def explain(self) -> EstimatorExplanation:
        """What the estimate rests on, and what holds it down."""
        acknowledged = self._meter.acknowledged.rate()
        loss_based = self._loss.rate
        return EstimatorExplanation(
            estimate=self._estimate,
            limit=self._limit,
            delay_based=round(self._control.rate),
            loss_based=None if loss_based is None else round(loss_based),
            acknowledged=None if acknowledged is None else round(acknowledged),
            usage=self._meter.trendline.usage,
            queue_delay=self._meter.queue.standing,
            loss=self._loss.loss,
            rtt=self._meter.rtt,
            application_limited=self._control.limit is Limit.APPLICATION,
            silent_for=self._silence.lasted(self._now),
            start_bitrate=self._start_bitrate(),
        )

    # --- what follows ------------------------------------------------------------------------

    def _has_feedback(self, now: float) -> bool:
        """Whether transport-wide feedback comes: then nothing else is needed."""
        return now - self._feedback_at <= FEEDBACK_PERIOD

    def _start_bitrate(self) -> int:
        """For the next connection over the same path, bit/s."""
        if not self._is_told:
            return self._estimate
        known = self._known if self._silence.is_silent else self._control.rate
        return round(max(RESTART * known, self._least))

    def _hear_report(self, now: float) -> None:
        """A report came, of a peer that sends nothing better."""
        if self._silence.is_silent:
            self._recover(now)
        self._is_told = True
        self._silence.heard(REPORT_PERIOD)

    def _time(self, now: float) -> float:
        """The time, which does not go back."""
        try:
            if self._now < now < math.inf:
                self._now = now
        except TypeError:
            raise TypeError(f"now must be a number of seconds, not {now!r}") from None
        if now == math.inf or self._now == -math.inf:
            raise ValueError(f"now must be finite, not {now!r}: seconds of one clock")
        return self._now

    def _follow(self, now: float, newest: float) -> None:
        """Let the rate follow what was measured."""
        control = self._control
        phase = control.phase
        told = self._counted.total
        carried = self._carried.rate(now)
        seen = self._meter.observe(
            now,
            newest,
            self._total - told,
            told,
            carried,
            is_losing=self._loss.recent > LOW,
        )
        if not control.update(now, seen):
            self._meter.queue.settle()
        acknowledged = seen.acknowledged
        if control.phase is Phase.DRAINING:
            self._carried.limit(control.rate)
            self._planner.congested()
            if control.lowered_at == now:
                self._answered_at = now
                self._loss.answered(now)
        elif acknowledged is not None and control.is_clear(seen.standing):
            self._carried.seen(acknowledged, now)
        if phase is Phase.DRAINING and control.phase is Phase.RISING and control.missed:
            self._planner.ask(control.missed)

    def _learn(self, cluster: int, now: float) -> None:
        """A probe may have had a result."""
        result = self._probes.result(cluster)
        if result is not None:
            self._planner.found(result, self._control.rate)
            self._control.probed(result.bitrate, now, is_full=result.is_full)
            if not result.is_full:
                self._carried.seen(result.bitrate, now)

    def _wait(self, now: float) -> None:
        if not self._silence.is_silent:
            self._known = self._control.rate
            self._carried_before = self._carried.rate(now)
        while self._silence.passed(now):
            self._control.scale(FACTOR)
        self._conclude()

    def _recover(self, now: float) -> None:
        """After silence: begin with a part of what was known before, and ask for the rest.

        What was carried before counts as far as the estimate goes: nothing has spoken against it.
        What was lost in the meantime says nothing of the rate: the silence has answered it.
        """
        self._control.follow(max(self._control.rate, RESTART * self._known))
        self._control.expect(self._known, now)
        self._carried.seen(self._carried_before, now)
        self._planner.restore(min(self._known, self._receiver_limit))
        self._answered_at = now
        self._loss.answered(now)

    def _conclude(self) -> None:
        """The estimate: the least of what delay, loss and the peer allow, within its bounds."""
        if self._now >= self._limit_ends:
            self._receiver_limit = self._limit_ends = math.inf
        rate, limit = self._control.rate, self._control.limit
        if self._loss.rate is not None and self._loss.rate < rate:
            rate, limit = self._loss.rate, Limit.LOSS
        if self._receiver_limit <= rate:
            rate, limit = self._receiver_limit, Limit.RECEIVER
        if rate <= self._least:
            rate, limit = self._least, Limit.MINIMUM
        elif rate >= self._most:
            limit = Limit.MAXIMUM
        if self._silence.is_silent:
            limit = Limit.SILENCE
        elif not self._is_told:
            limit = Limit.START
        self._estimate, self._limit = round(rate), limit
