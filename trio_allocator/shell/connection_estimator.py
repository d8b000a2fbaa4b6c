"""From the packets of a transport to the estimates of an allocator: two calls, and a task.

What is measured and concluded is the matter of `trio_allocator.estimation`, which has no clock.
Here are the time, the numbers of the packets, and the allocator that is told.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, Unpack

import trio

from .. import quantities
from ..estimation import (
    EstimatorExplanation,
    FeedbackHandler,
    Pacer,
    RetransmissionBudget,
    SendSideEstimator,
)
from ..estimation.pacer import MAX_QUEUE_TIME
from ..estimation.retransmission import SHARE, share_to_repeat
from ..interface import ConnectionAllocator
from ..receiver.callbacks import check_synchronous
from .alarm import Alarm
from .estimator_options import (
    EstimatorOptions,
    EstimatorStatistics,
    PacketLog,
    SendCallback,
)
from .lifetime import living

REPEAT = 1.0
"""How often an allocator is told at least, s: after 2 s without it takes the estimate for unknown,
and then would grant nothing to a receiver that sends again after a pause."""

UNCHANGED = 0.2
"""What feedback has not changed is told no more often than this, s. Nine of ten feedbacks change nothing while
media flow as they did; to tell each of them took a tenth of a media server's time."""

PROOF = 0.95
"""This share of what was carried is told as such. What is sent has headers, and varies: a raise that
takes all that was carried would fill the link to the last bit (measured on links that do not change:
docs/estimation.md, "What the allocator is told")."""

PACING_FACTOR = 1.0
"""Packets leave at this many times the estimate. What a server forwards does not follow the estimate,
above all not its key frames: faster, they queue in the network and bring the estimate down (measured
on links that do not change: docs/estimation.md, "The pace"). libwebrtc's 2.5 is for its encoders."""

AUDIO_PACE = 2.0
"""Audio is paced no slower than this many times what it holds: headers add a third to its own rate and
more. It is sent whatever the estimate says, and would only get late."""

BURST = 0.01
"""But for probes, the task wakes no more often than this, s, and sends all that is due until then: a wake-up
costs more than a packet (docs/estimation.md, "The pace"). `EstimatorOptions.pacing_burst` is another one.
libwebrtc sends what is due within 40 ms (`PacingController::kDefaultBurstInterval`)."""

C = TypeVar("C", bound=Callable[..., object])

_SEQUENCES = 2**16


class ConnectionEstimator:
    """Estimates the bandwidth of a connection from what is sent over it, and tells an allocator.

    Make one with `open_connection_estimator`, or with `create` in a nursery of your own. All but
    opening and closing is synchronous and never blocks.

    It tells the allocator at once what it starts with, then whatever feedback changes, what it does
    not change five times a second, and the same again every second in which nothing came. Packets
    without any feedback lower the estimate. When the allocator ends, so does the estimator.
    """

    def __init__(self, allocator: ConnectionAllocator, options: EstimatorOptions) -> None:
        if not isinstance(allocator, ConnectionAllocator):
            raise TypeError(f"allocator must be a ConnectionAllocator, not {allocator!r}")
        quantities.known_names("option", options, EstimatorOptions.__annotations__)
        estimator = options.get("estimator")
        if estimator is None:
            estimator = SendSideEstimator()
        if not isinstance(estimator, SendSideEstimator):
            raise TypeError(f"estimator must be a SendSideEstimator, not {estimator!r}")
        first = options.get("first_sequence", 0)
        self._first = quantities.whole_number("first_sequence", first, 0, _SEQUENCES - 1)
        self._send_padding = _callback("send_padding", options.get("send_padding"))
        self._wanted = _callback("wanted", options.get("wanted"))
        self._on_estimate = _callback("on_estimate", options.get("on_estimate"))
        self._log = options.get("log")
        if not isinstance(self._log, PacketLog | None):
            raise TypeError(f"log must be a PacketLog, such as a FeedbackLog, not {self._log!r}")
        self._allocator = allocator
        self._estimator = estimator
        self._handler = FeedbackHandler(estimator)
        start = estimator.estimate
        self._burst = quantities.positive(
            "pacing_burst", options.get("pacing_burst", BURST), "seconds"
        )
        self._pacer: Pacer[SendCallback] = Pacer(
            start,
            factor=quantities.positive(
                "pacing_factor",
                options.get("pacing_factor", PACING_FACTOR),
                "times the estimate",
            ),
            burst=self._burst,
            max_queue_time=options.get("max_queue_time", MAX_QUEUE_TIME),
        )
        repeat_share = share_to_repeat("repeat_share", options.get("repeat_share", SHARE))
        self._budget = RetransmissionBudget(start, share=repeat_share)
        self._is_connected = quantities.flag("connected", options.get("connected", True))
        self._last: int | None = None  # extended: it does not wrap around
        self._told: tuple[int, int | None] | None = None
        self._told_at = -math.inf
        self._acted_at = -math.inf
        self._ended = False
        self._failure: BaseException | None = None
        self._alarm = Alarm()
        self._gone = trio.Event()
        # What is counted.
        self._sent = self._sent_bytes = 0
        self._padding = self._padding_bytes = 0
        self._repeated = self._repeated_bytes = 0
        self._withdrawn = self._probes = self._feedbacks = self._estimates = 0

    # --- lifetime ----------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        nursery: trio.Nursery,
        allocator: ConnectionAllocator,
        **options: Unpack[EstimatorOptions],
    ) -> ConnectionEstimator:
        """Start one whose task runs in the caller's nursery, until `destroy`.

        What a callback raises is raised in that nursery.

        Args:
            nursery: Where its task runs.
            allocator: Is told the estimates.
            **options: See `EstimatorOptions`.

        Raises:
            TypeError, ValueError: One of them is not usable.
            trio.ClosedResourceError: The allocator has ended.
        """
        if not isinstance(nursery, trio.Nursery):
            raise TypeError(f"nursery must be a trio.Nursery, not {nursery!r}")
        self = cls(allocator, options)
        return self._start(nursery, self._run_and_close)

    def _start_in_block(self, nursery: trio.Nursery) -> ConnectionEstimator:
        """As `create`, but it is the block that closes it: cancelled, the body may still clean up."""
        return self._start(nursery, self._run)

    def _start(
        self, nursery: trio.Nursery, task: Callable[[], Awaitable[None]]
    ) -> ConnectionEstimator:
        if self._is_connected:
            self._tell(trio.current_time())
        self._arm()
        nursery.start_soon(task)
        return self

    async def destroy(self) -> None:
        """End it, and wait until its task has ended. May be called twice."""
        self.close()
        await self._gone.wait()

    def close(self) -> None:
        """End it at once; packets that wait are not sent any more. May be called twice."""
        self._ended = True
        self._alarm.ring()

    @property
    def failure(self) -> BaseException | None:
        """What a callback, or the allocator, raised in its task; None as long as neither has."""
        return self._failure

    def _check_open(self) -> None:
        if self._ended:
            raise trio.ClosedResourceError("the connection estimator has ended")

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return not self._ended

    @property
    def is_connected(self) -> bool:
        """Whether anything can be sent."""
        return self._is_connected

    def connected(self) -> None:
        """The transport is up, from now on packets can be sent: the allocator is told so.

        Only with ``connected=False`` is there anything to say; a second time changes nothing.

        Raises:
            trio.ClosedResourceError: It, or the allocator, has ended.
            trio.BrokenResourceError: The allocator has failed.
        """
        self._check_open()
        if not self._is_connected:
            self._is_connected = True
            self._tell(trio.current_time())
            self._arm()

    # --- what happens ------------------------------------------------------------------------

    def packet_sent(self, size: int, sequence: int | None = None, *, padding: bool = False) -> int:
        """A packet leaves now, of whatever kind. The hot path: once a packet.

        Args:
            size: Bytes, everything above UDP counted; retransmissions and padding are packets, too.
            sequence: Its transport-wide sequence number, 0 to 65535, if something else numbers the
                packets. None to give it the next one.
            padding: It is padding: for the statistics.

        Returns:
            The number, to be put into the packet. Peers without transport-wide feedback need none.

        Raises:
            TypeError, ValueError: One of them is not usable; nothing changes.
            RuntimeError: Nothing can be sent before `connected`; nothing changes.
            trio.ClosedResourceError: It has ended.
        """
        self._check_open()
        if not self._is_connected:
            raise RuntimeError("nothing can be sent yet: call connected() when the transport is up")
        number = self._next() if sequence is None else self._nearest(sequence)
        cluster = self._pacer.padding_sent(size)
        wire = self._count(number, size, cluster)
        if padding:
            self._padding += 1
            self._padding_bytes += size
        return wire

    def _next(self) -> int:
        return self._first if self._last is None else self._last + 1

    def _nearest(self, sequence: int) -> int:
        """Extend a number of the wire."""
        whole = quantities.whole_number("sequence", sequence, 0, _SEQUENCES - 1)
        if self._last is None:
            return whole
        half = _SEQUENCES // 2
        return self._last + (whole - self._last + half) % _SEQUENCES - half

    def _count(self, number: int, size: int, cluster: int | None) -> int:
        now = trio.current_time()
        self._estimator.packet_sent(number, size, now, cluster)
        self._last = number if self._last is None else max(self._last, number)
        self._sent += 1
        self._sent_bytes += size
        if self._log is not None:
            self._log.packet_sent(now, number, size, cluster)
        return number % _SEQUENCES

    def pace(
        self, send: SendCallback, size: int, *, priority: int = 0, key: Hashable = None
    ) -> bool:
        """Have a packet sent when its turn has come, in place of `packet_sent`.

        It leaves at the pace (`EstimatorOptions`: `pacing_factor`), or within `max_queue_time` if
        that takes more; see `Pacer`. Tracks of audio are never slowed below what they hold.

        Args:
            send: Called with its transport-wide sequence number. What it raises ends the
                estimator, and is raised by the block (or in the nursery) that it lives in.
            size: Bytes that it will have, as for `packet_sent`.
            priority: Larger leaves first; among equals, the one that came first.
            key: For `withdraw`: what the packet belongs to, such as a track's layer. None for
                nothing that is ever withdrawn.

        Returns:
            True. False if the packet was dropped, since nothing can be sent before `connected`.

        Raises:
            TypeError, ValueError: One of them is not usable; nothing changes.
            trio.ClosedResourceError: It has ended.
        """
        check_synchronous("send", send)
        return self._pace(send, size, priority, key)

    def _pace(self, send: SendCallback, size: int, priority: int, key: Hashable) -> bool:
        """As `pace`, for a callback that is known to be synchronous: the check costs 2 µs."""
        self._check_open()
        if not self._is_connected:
            quantities.whole_number("size", size, 1, quantities.MAX_SIZE)
            return False
        self._pacer.enqueue(send, size, trio.current_time(), priority=priority, key=key)
        self._arm()
        return True

    def withdraw(self, key: Hashable) -> int:
        """Let go of the paced packets that wait and belong to something.

        When a layer is left, what waits of it would only delay the key frame of the next.

        Args:
            key: As it was given to `pace`; not None.

        Returns:
            How many they were.

        Raises:
            ValueError: `key` is None.
            trio.ClosedResourceError: It has ended.
        """
        self._check_open()
        withdrawn = len(self._pacer.withdraw(key))
        self._withdrawn += withdrawn
        return withdrawn

    def may_repeat(self, key: Hashable, size: int) -> bool:
        """Whether a packet that the peer asks for may be sent again; then it is taken for sent.

        Each may once in a round trip and the time that the pacer's queue takes, and all of them
        at a share of the estimate; see `RetransmissionBudget`.

        Args:
            key: Which packet: its stream and number, for one.
            size: Bytes that would be sent.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes.
            trio.ClosedResourceError: It has ended.
        """
        self._check_open()
        now = trio.current_time()
        self._budget.set_bitrate(self._estimator.estimate, now)
        rtt = self._estimator.rtt
        if rtt:
            self._budget.set_rtt(rtt + self._pacer.queue_time)
        allowed = self._is_connected and self._budget.allow(key, size, now)
        if allowed:
            self._repeated += 1
            self._repeated_bytes += size
        return allowed

    def feedback_received(self, data: bytes) -> None:
        """RTCP came, decrypted: one packet or a compound. The allocator follows in this call.

        It takes transport-wide feedback, REMB and receiver reports, and skips the rest. Before
        `connected` it skips all.

        Args:
            data: What came in one datagram.

        Raises:
            FeedbackError: It is malformed; nothing changes. Count it and drop it.
            TypeError: It is not bytes.
            trio.ClosedResourceError: It, or the allocator, has ended.
            trio.BrokenResourceError: The allocator has failed.
        """
        self._check_open()
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes, not {data!r}")
        if not self._is_connected:
            return
        now = trio.current_time()
        octets = bytes(data)
        if self._log is not None:
            self._log.received(now, octets)
        if self._handler.handle(octets, now, self._last):
            self._feedbacks += 1
            self._tell(now)
            self._probe(now)
            self._arm()

    # --- what comes of it --------------------------------------------------------------------

    @property
    def estimate(self) -> int:
        """The estimate, bit/s."""
        return self._estimator.estimate

    @property
    def carried(self) -> int | None:
        """What the connection was lately seen to carry without a queue, bit/s; None if unknown."""
        return self._estimator.carried

    @property
    def queue_bytes(self) -> int:
        """Bytes of paced packets that wait."""
        return self._pacer.queue_bytes

    @property
    def queue_time(self) -> float:
        """How long these need to leave at the pace, s."""
        return self._pacer.queue_time

    def explain(self) -> EstimatorExplanation:
        """What the estimate rests on, and what holds it down."""
        return self._estimator.explain()

    def statistics(self) -> EstimatorStatistics:
        """Counters; may be read after the end."""
        counts = self._estimator.counts()
        return EstimatorStatistics(
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            padding=self._padding,
            padding_bytes=self._padding_bytes,
            acknowledged=counts.acknowledged,
            acknowledged_bytes=counts.acknowledged_bytes,
            lost=counts.lost,
            repeated=self._repeated,
            repeated_bytes=self._repeated_bytes,
            withdrawn=self._withdrawn,
            probes=self._probes,
            feedbacks=self._feedbacks,
            estimates=self._estimates,
        )

    def _tell(self, now: float) -> None:
        estimate, carried = self._estimator.estimate, self._estimator.carried
        if carried is not None:
            carried = int(PROOF * carried)
        claims = self._allocator.claims
        floor = 0.0 if claims is None else AUDIO_PACE * claims.audio
        self._pacer.set_bitrate(estimate, now, floor=floor)
        if self._told == (estimate, carried) and now < self._told_at + UNCHANGED:
            return
        self._told, self._told_at = (estimate, carried), now
        self._estimates += 1
        if self._on_estimate is None:
            self._allocator.update_bandwidth_estimation(estimate, carried=carried)
        else:
            self._on_estimate(estimate, carried)
        if self._log is not None:
            self._log.estimated(now, estimate)

    def _probe(self, now: float) -> None:
        """Begin a probe that is worth sending, if there is somebody to send it."""
        if self._send_padding is None or self._ended:
            return
        wanted = self._claimed() if self._wanted is None else self._wanted()
        probe = self._estimator.next_probe(now, wanted)
        if probe is not None:
            self._probes += 1
            if self._log is not None:
                self._log.probe_given(now, wanted)
            self._pacer.start_probe(probe, now)

    def _claimed(self) -> float | None:
        claims = self._allocator.claims
        return None if claims is None else claims.wanted

    # --- time --------------------------------------------------------------------------------

    @property
    def _due(self) -> float:
        """When there is something to do, s.

        No packet that is sent brings it forward: its feedback is not overdue before the allocator
        is to be told again.
        """
        if not self._is_connected:
            return math.inf
        send_at = self._pacer.next_send_time
        if not self._pacer.is_probing:
            send_at = max(send_at, self._acted_at + self._burst)
        return min(self._estimator.wake_at, self._told_at + REPEAT, send_at)

    def _arm(self) -> None:
        """Wake the task in time."""
        self._alarm.ring_by(self._due)

    async def _run_and_close(self) -> None:
        try:
            await self._run()
        finally:
            self.close()

    async def _run(self) -> None:
        try:
            while True:
                await self._alarm.rings()
                if self._ended:
                    break
                self._act()
                self._arm()
        finally:
            self._gone.set()

    def _act(self) -> None:
        now = self._acted_at = trio.current_time()
        try:
            self._send_due(now)
            if not self._ended and min(self._estimator.wake_at, self._told_at + REPEAT) <= now:
                self._wait(now)
        except BaseException as error:
            self._failure = error
            self.close()
            raise

    def _wait(self, now: float) -> None:
        """Nothing but time passed."""
        self._estimator.advance(now)
        try:
            self._tell(now)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            self.close()  # nobody is left to tell; the opener of the allocator knows why

    def _send_due(self, now: float) -> None:
        while (departure := self._pacer.pop(now)) is not None:
            departure.packet(self._count(self._next(), departure.size, departure.cluster))
            if self._ended:
                return
        due = self._pacer.padding_due(now)
        if due and self._send_padding is not None:
            self._send_padding(due)


def _callback(name: str, callback: C | None) -> C | None:
    if callback is not None:
        check_synchronous(name, callback)
    return callback


def open_connection_estimator(
    allocator: ConnectionAllocator, **options: Unpack[EstimatorOptions]
) -> AbstractAsyncContextManager[ConnectionEstimator]:
    """Open an estimator for one connection; it lives exactly inside its ``async with``.

    Args:
        allocator: Is told the estimates.
        **options: See `EstimatorOptions`.

    Returns:
        An asynchronous context manager. What its body raises leaves it unwrapped, and so does what
        a callback raises.

    Raises:
        TypeError, ValueError: One of them is not usable.
        trio.ClosedResourceError: The allocator has ended (when it is entered).
    """
    return living(ConnectionEstimator(allocator, options)._start_in_block)  # noqa: SLF001 - its own
