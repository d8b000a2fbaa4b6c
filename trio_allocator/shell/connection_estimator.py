"""From the packets of a transport to the estimates of an allocator: two calls, and a task.

What is measured and concluded is the matter of `trio_allocator.estimation`, which has no clock.
Here are the time, the numbers of the packets, and the allocator that is told.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias, TypedDict, TypeVar, Unpack

import trio

from .. import quantities
from ..estimation import EstimatorExplanation, FeedbackHandler, Pacer, SendSideEstimator
from ..interface import ConnectionAllocator
from ..receiver.callbacks import check_synchronous
from .lifetime import living

REPEAT = 1.0
"""How often an allocator is told at least, s: after 2 s without it takes the estimate for unknown,
and then would grant nothing to whoever wants to send again after a pause."""

SendCallback: TypeAlias = Callable[[int], object]
"""Called when a packet's turn has come, with its transport-wide sequence number: sends it, now."""

ProbeCallback: TypeAlias = Callable[[int], object]
"""Called with bytes of padding that are due now: sends packets of at least so many bytes, and
reports each by `ConnectionEstimator.packet_sent`."""

C = TypeVar("C", bound=Callable[..., object])

_SEQUENCES = 2**16


class EstimatorOptions(TypedDict, total=False):
    """What a `ConnectionEstimator` may be opened with.

    Attributes:
        estimator: A fresh one, with bounds of your own. None for the usual ones.
        send_padding: Sends what a probe of the estimator's lacks in media. None: no probes.
        wanted: Returns what all tracks together could use, bit/s: no probe goes far beyond it, and
            there is none for 0. None for as much as there is.
        first_sequence: The transport-wide sequence number of the first packet, 0 to 65535.
            Default: 0.
    """

    estimator: SendSideEstimator | None
    send_padding: ProbeCallback | None
    wanted: Callable[[], float] | None
    first_sequence: int


class ConnectionEstimator:
    """Estimates the bandwidth of a connection from what is sent over it, and tells an allocator.

    Make one with `open_connection_estimator`, or with `create` in a nursery of your own. All but
    opening and closing is synchronous and never blocks.

    It tells the allocator at once what it starts with, then whatever feedback changes, and the
    same again every second in which nothing came. Packets without any feedback lower the estimate.
    When the allocator ends, so does the estimator.
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
        self._allocator = allocator
        self._estimator = estimator
        self._handler = FeedbackHandler(estimator)
        self._pacer: Pacer[SendCallback] = Pacer(
            estimator.estimate, factor=float(__import__('os').environ.get('PACE', '1.0'))
        )
        self._last: int | None = None  # extended: it does not wrap around
        self._told_at = -math.inf
        self._ended = False
        self._failure: BaseException | None = None
        self._alarm = trio.CancelScope()
        self._gone = trio.Event()

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
        self._alarm.cancel()

    @property
    def failure(self) -> BaseException | None:
        """What a callback, or the allocator, raised in its task; None as long as neither has."""
        return self._failure

    def _check_open(self) -> None:
        if self._ended:
            raise trio.ClosedResourceError("the connection estimator has ended")

    # --- what happens ------------------------------------------------------------------------

    def packet_sent(self, size: int, sequence: int | None = None) -> int:
        """A packet leaves now, of whatever kind. The hot path: once a packet.

        Args:
            size: Bytes, everything above UDP counted; retransmissions and padding are packets, too.
            sequence: Its transport-wide sequence number, 0 to 65535, if something else numbers the
                packets. None to give it the next one.

        Returns:
            The number, to be put into the packet. Peers without transport-wide feedback need none.

        Raises:
            TypeError, ValueError: One of them is not usable; nothing changes.
            trio.ClosedResourceError: It has ended.
        """
        self._check_open()
        number = self._next() if sequence is None else self._nearest(sequence)
        cluster = self._pacer.padding_sent(size)
        return self._count(number, size, cluster)

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
        self._estimator.packet_sent(number, size, trio.current_time(), cluster)
        self._last = number if self._last is None else max(self._last, number)
        return number % _SEQUENCES

    def pace(self, send: SendCallback, size: int, *, priority: int = 0) -> None:
        """Have a packet sent when its turn has come, in place of `packet_sent`.

        It leaves at up to 2.5 × the estimate, or within 2 s if that takes more; see `Pacer`.

        Args:
            send: Called with its transport-wide sequence number. What it raises ends the
                estimator, and is raised by the block (or in the nursery) that it lives in.
            size: Bytes that it will have, as for `packet_sent`.
            priority: Larger leaves first; among equals, the one that came first.

        Raises:
            TypeError, ValueError: One of them is not usable; nothing changes.
            trio.ClosedResourceError: It has ended.
        """
        self._check_open()
        check_synchronous("send", send)
        self._pacer.enqueue(send, size, trio.current_time(), priority=priority)
        self._arm()

    def feedback_received(self, data: bytes) -> None:
        """RTCP came, decrypted: one packet or a compound. The allocator follows in this call.

        It takes transport-wide feedback, REMB and receiver reports, and skips the rest.

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
        now = trio.current_time()
        if self._handler.handle(bytes(data), now, self._last):
            self._tell(now)
            self._probe(now)
            self._arm()

    # --- what comes of it --------------------------------------------------------------------

    @property
    def estimate(self) -> int:
        """The estimate, bit/s."""
        return self._estimator.estimate

    def explain(self) -> EstimatorExplanation:
        """What the estimate rests on, and what holds it down."""
        return self._estimator.explain()

    def _tell(self, now: float) -> None:
        estimate = self._estimator.estimate
        self._told_at = now
        self._pacer.set_bitrate(estimate, now)
        self._allocator.update_bandwidth_estimation(
            estimate,
            carried=None
            if self._estimator.carried is None
            else self._estimator.carried * float(__import__('os').environ.get('MARGIN', '0.95')),
        )

    def _probe(self, now: float) -> None:
        """Begin a probe that is worth sending, if there is somebody to send it."""
        if self._send_padding is None:
            return
        wanted = None if self._wanted is None else self._wanted()
        probe = self._estimator.next_probe(now, wanted)
        if probe is not None:
            self._pacer.start_probe(probe, now)

    # --- time --------------------------------------------------------------------------------

    @property
    def _due(self) -> float:
        """When there is something to do, s.

        No packet that is sent brings it forward: its feedback is not overdue before the allocator
        is to be told again.
        """
        return min(self._estimator.wake_at, self._told_at + REPEAT, self._pacer.next_send_time)

    def _arm(self) -> None:
        """Wake the task in time. An alarm that rings too early is cheaper than moving it."""
        self._alarm.deadline = min(self._alarm.deadline, self._due)

    async def _run_and_close(self) -> None:
        try:
            await self._run()
        finally:
            self.close()

    async def _run(self) -> None:
        try:
            while True:
                with self._alarm:
                    await trio.sleep_forever()
                if self._ended:
                    break
                self._alarm = trio.CancelScope()
                self._act()
                self._arm()
        finally:
            self._gone.set()

    def _act(self) -> None:
        now = trio.current_time()
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
            self.close()  # nobody is left to tell; whoever opened the allocator knows why

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
