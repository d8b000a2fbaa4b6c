"""The receiver's side of the protocol for one track, as a task."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import ParamSpec, TypeAlias, TypeVar, Unpack

import trio
from attrs import evolve

from .. import quantities
from ..interface import ConnectionAllocator, ReceiverHandle
from ..messages import AllocationGranted, AllocatorMessage, DecreaseAllocation, SendPadding
from ..obstacle import Obstacle
from ..options import ReceiverOptionChanges, ReceiverOptions
from ..tracks import Track
from .actions import RequestVariant, SelectorAction, SwitchReason
from .callbacks import check_completed, check_synchronous
from .conversation import Conversation
from .selector import VariantSelector
from .statistics import ReceiverStatistics

P = ParamSpec("P")
T = TypeVar("T")

VariantCallback: TypeAlias = Callable[[str | None, SwitchReason], object]
"""Called with the variant to send from its next key frame on (None: stop at once), and why."""

PaddingCallback: TypeAlias = Callable[[int], int | None]
"""Called with the bytes of padding due. Returns how many were sent, everything above UDP counted;
None if another task will send them and report each packet by `TrackReceiver.padding_sent`."""


_COUNTED = {
    SwitchReason.LOW_BANDWIDTH: "pauses",
    SwitchReason.STALLED: "stalls",
    SwitchReason.REPEATED: "key_frames_repeated",
}


class _Line:
    """The way to the allocator: after the end of the registration nothing comes of it."""

    __slots__ = ("_ended", "handle")

    def __init__(self, handle: ReceiverHandle, ended: Callable[[], None]) -> None:
        self.handle = handle
        self._ended = ended

    @property
    def allocation(self) -> int:
        return self.handle.allocation

    def request_allocation(self, bitrate: float) -> None:
        self.tell(self.handle.request_allocation, bitrate)

    def set_variants(self, variants: Mapping[str, float]) -> None:
        self.tell(self.handle.set_variants, variants)

    def accept_decrease(
        self, request: DecreaseAllocation, bitrate: float | None = None
    ) -> bool | None:
        return self.tell(self.handle.accept_decrease, request, bitrate)

    def reject_decrease(self, request: DecreaseAllocation) -> None:
        self.tell(self.handle.reject_decrease, request)

    def tell(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return operation(*args, **kwargs)
        except trio.ClosedResourceError:
            self._ended()
            return None


class TrackReceiver:
    """Sends one track as well as the allocator lets it.

    ::

        camera = TrackReceiver(allocator, track, request_variant=switch, send_padding=pad)
        nursery.start_soon(camera.run)
        ...
        camera.packet_sent(len(packet))         # once a packet
        camera.variant_switched("high")         # at the key frame that was asked for

    The registration lives exactly as long as `run`. All other methods are synchronous, never
    block, and may be called at any time: before `run` they prepare its start, after it they do
    nothing. They act in the call: a callback may run, and what it raises leaves the method that
    was called. What a callback raises in answer to the allocator leaves `run`, unwrapped.

    Args:
        allocator: Where to register.
        track: What is sent. With one variant, it is sent or paused; with none, the receiver only
            registers, counts packets and pads, and rejects every decrease.
        request_variant: Told which variant to send. The application confirms a switch by
            `variant_switched`, and asks again by itself for a key frame that was lost.
        send_padding: Told how many bytes of padding to send now, whatever the kind of the track.
            None: it cannot pad.
        bandwidth: What to register with, bit/s. Default: that of the lowest variant (nothing with a
            pin): a newcomer takes little unasked. The reference takes ``track.allocation("high")``.
        target: The best variant wanted; None for the best there is.
        pin: The only variant wanted, whatever the target; see `set_pin`.
        active: The variants that the source sends at first; None for the whole ladder.
        options: Of the registration; see `ReceiverOptions`. `bare_steps` is on unless it is turned
            off: a variant is asked for at its bare rate, and bursts share what the link has to spare.

    Raises:
        TypeError, ValueError: An argument is not usable.
    """

    __slots__ = (
        "_allocator",
        "_bandwidth",
        "_bare",
        "_conversation",
        "_counts",
        "_line",
        "_obstacle",
        "_options",
        "_quiet",
        "_request_variant",
        "_selector",
        "_send_padding",
        "_started",
        "_timer",
    )

    def __init__(
        self,
        allocator: ConnectionAllocator,
        track: Track,
        *,
        request_variant: VariantCallback,
        send_padding: PaddingCallback | None = None,
        bandwidth: float | None = None,
        target: str | None = None,
        pin: str | None = None,
        active: Collection[str] | None = None,
        **options: Unpack[ReceiverOptionChanges],
    ) -> None:
        if not isinstance(allocator, ConnectionAllocator):
            raise TypeError(f"allocator must be a ConnectionAllocator, not {allocator!r}")
        check_synchronous("request_variant", request_variant)
        if send_padding is not None:
            check_synchronous("send_padding", send_padding)
        self._line: _Line | None = None
        self._conversation: Conversation | None = None
        self._send_padding = send_padding
        self._bare = options.setdefault("bare_steps", True)
        self._selector = VariantSelector(
            track, target=target, pin=pin, active=active, bare_steps=self._bare
        )
        self._options: ReceiverOptionChanges = {"can_pad": send_padding is not None}
        self.set_options(**options)
        self._allocator = allocator
        self._bandwidth = None if bandwidth is None else quantities.bitrate("bandwidth", bandwidth)
        self._request_variant = request_variant
        self._started = False
        self._counts = ReceiverStatistics()
        self._quiet = False
        self._obstacle: Obstacle | None = None
        self._timer: trio.CancelScope | None = None

    @property
    def track(self) -> Track:
        """The track, with the ladder as declared (the handle's has the rates as measured)."""
        return self._selector.track

    @property
    def handle(self) -> ReceiverHandle | None:
        """The registration; None while there is none."""
        return None if self._line is None else self._line.handle

    @property
    def current_variant(self) -> str | None:
        """The variant that flows; None while paused or before the first key frame."""
        return self._selector.current

    @property
    def queued_variant(self) -> str | None:
        """The variant that was asked for and has not come yet."""
        return self._selector.queued

    @property
    def ended(self) -> bool:
        """Whether its life is over: `run` was called, and nothing comes of it any more."""
        return self._started and self._line is None

    def statistics(self) -> ReceiverStatistics:
        """Counters for metrics. May be read after its end, too."""
        return self._counts

    async def run(
        self, *, task_status: trio.TaskStatus[ReceiverHandle] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Register, and obey the protocol until cancelled or until the allocator closes.

        Fit for ``nursery.start_soon`` and ``await nursery.start``, which returns the handle.

        Raises:
            RuntimeError: It was run before: a receiver has one life.
            trio.ClosedResourceError: The allocator had ended already.
            Exception: What a callback raised, unwrapped.
        """
        if self._started:
            raise RuntimeError("run() may be called once: make a new TrackReceiver instead")
        self._started = True
        with self._allocator.register_track_receiver(
            self.track, self._initial_bandwidth(), **self._options
        ) as handle:
            self._line = _Line(handle, self._end)
            self._conversation = Conversation(self._selector, self._line, self._switch)
            try:
                self._perform(self._selector.registered(handle.allocation, trio.current_time()))
                task_status.started(handle)
                await self._converse(handle)
            finally:
                self._end()

    async def _converse(self, handle: ReceiverHandle) -> None:
        while True:
            message: AllocatorMessage | None = None
            # A time-out loses nothing: a handle takes a message after its last checkpoint.
            timer = trio.CancelScope(deadline=self._selector.next_evaluation)
            with timer as self._timer:  # noqa: ASYNC912 - receive() is one
                try:
                    message = await handle.receive()
                except (trio.EndOfChannel, trio.ClosedResourceError):
                    break
            self._obey(message, trio.current_time())
        await trio.lowlevel.checkpoint()

    def _obey(self, message: AllocatorMessage | None, now: float) -> None:
        """Do what one message says, or at a time-out (None) what the measurement says."""
        match message:
            case None:
                self._perform(self._selector.evaluate(now))
            case AllocationGranted() | DecreaseAllocation():
                self._talk(lambda conversation: conversation.obey(message, now))
            case SendPadding(size):
                sent = 0 if self._send_padding is None else self._send_padding(size)
                if sent is not None:
                    self.padding_sent(sent)

    def packet_sent(self, size: float) -> None:
        """Report a packet of the current variant: the hot path.

        Args:
            size: Bytes on the wire: headers and retransmissions counted too. Padding that was
                asked for is reported by `send_padding` or `padding_sent`.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes.
        """
        line = self._line
        if line is None:
            quantities.size("size", size)
            return
        try:
            line.handle.buffer_sent(size)
        except trio.ClosedResourceError:
            self._end()
            return
        self._selector.rates.sent += size
        if self._quiet:
            self._perform(self._selector.woken(trio.current_time()))

    def padding_sent(self, size: float) -> None:
        """Report padding that `send_padding` left to another task.

        Args:
            size: Bytes on the wire.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes.
        """
        if self._line is None:
            quantities.size("size", size)
        else:
            self._line.tell(self._line.handle.buffer_sent, size, padding=True)

    # What a variant's name means, and what is raised for one that is not on the ladder, is said
    # in VariantSelector; these add the time, and carry out what comes of it.

    def variant_switched(self, variant: str | None) -> None:
        """This variant flows from now on (None: nothing does), asked for or not."""
        before = self._selector.current
        actions = self._selector.variant_switched(variant, self._now())
        if variant not in (None, before) and self._line is not None:
            self._count("switches")
        self._perform(actions)

    def variant_active(self, variant: str, *others: str) -> None:
        """The source sends this variant (again), or several.

        Name in one call those that come together: then the best of them is asked for at once.
        """
        self._perform(self._selector.variants_active((variant, *others), self._now()))

    def variant_inactive(self, variant: str, *others: str) -> None:
        """The source has stopped this variant, or several: away from them at once.

        Name in one call those that stop together: then the choice falls on one that remains.
        """
        self._perform(self._selector.variants_inactive((variant, *others), self._now()))

    def mute(self, variant: str | None = None) -> None:
        """Send this variant no more, or nothing of the track (None), until unmuted."""
        self._perform(self._selector.mute(variant, self._now()))

    def unmute(self, variant: str | None = None) -> None:
        """Take back `mute` for this variant, or for the track (None)."""
        self._perform(self._selector.unmute(variant, self._now()))

    def set_target(self, target: str | None) -> None:
        """Choose the best variant wanted; None for the best there is."""
        self._perform(self._selector.set_target(target, self._now()))

    def set_pin(self, pin: str | None) -> None:
        """Send this variant or nothing, whatever the target; None to unpin.

        The allocator is told that the ladder consists of it. So, unless the receiver is
        `pausable`, it is not brought below that.
        """
        self._perform(self._selector.set_pin(pin, self._now()))

    def set_variants(self, variants: Mapping[str, float]) -> None:
        """Replace the ladder: variant name to declared rate, bit/s. New ones count as active.

        Raises:
            TypeError, ValueError: A rate is not a positive number of bit/s.
        """
        self._perform(self._selector.set_variants(variants, self._now()))

    def set_options(self, **changes: Unpack[ReceiverOptionChanges]) -> None:
        """Change options of the registration; those not named stay.

        Raises:
            TypeError, ValueError: An option is unknown, or its value is not usable.
        """
        checked = self._checked(changes)
        if checked.bare_steps != self._bare:
            raise ValueError(
                f"bare_steps must stay {self._bare} while it lives: make a new TrackReceiver"
            )
        if self._line is not None:
            self._line.tell(self._line.handle.set_options, **changes)
        self._options = {**self._options, **changes}
        self._selector.set_pausable(checked.pausable)

    def _checked(self, changes: ReceiverOptionChanges) -> ReceiverOptions:
        if changes.get("can_pad") and self._send_padding is None:
            raise ValueError("can_pad must not be True without a send_padding callback: give one")
        return ReceiverOptions.for_track(self.track, {**self._options, **changes})

    def _initial_bandwidth(self) -> int:
        if self._bandwidth is not None:
            return self._bandwidth
        return self._selector.initial_bandwidth()

    def _perform(self, actions: tuple[SelectorAction, ...]) -> None:
        self._talk(lambda conversation: conversation.perform(actions, self._now()))

    def _talk(self, part: Callable[[Conversation], None]) -> None:
        if self._conversation is None:
            return
        try:
            part(self._conversation)
        finally:
            self._set_timer()

    def _switch(self, request: RequestVariant) -> None:
        if self._line is None:
            return
        counter = _COUNTED.get(request.reason)
        if counter is not None and (request.variant is None) == (counter == "pauses"):
            self._count(counter)
        check_completed(self._request_variant(request.variant, request.reason))

    def _count(self, name: str) -> None:
        self._counts = evolve(self._counts, **{name: getattr(self._counts, name) + 1})

    def _set_timer(self) -> None:
        obstacle = self._selector.obstacle
        if obstacle is not self._obstacle and self._line is not None:
            self._obstacle = obstacle
            self._line.tell(self._line.handle.note_obstacle, obstacle)
        self._quiet = self._selector.rates.quiet
        if self._timer is not None:
            self._timer.deadline = self._selector.next_evaluation

    def _now(self) -> float:
        # Without a registration nothing is timed, and there may be no Trio yet.
        return -math.inf if self._line is None else trio.current_time()

    def _end(self) -> None:
        """Nothing can be said to the allocator any more; `run` finds out by itself."""
        self._line = self._conversation = None
        self._selector.ended(-math.inf)
