"""All that one peer is sent: tracks that are paced, repeated, padded, and charged for all of it.

A `ConnectionEstimator`, a `TrackReceiver` and a padding source for each track, a history for those
who lost something, and the priorities between them: what every sender has to connect, connected.
What the packets look like is the application's matter: it is handed each one when its turn has come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from enum import Enum
from functools import partial
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, Unpack

import trio

from .. import quantities
from ..estimation import PaddingPacket, PaddingSource, RepeatedPacket
from ..estimation.padding import RTX_HEADER_SIZE
from ..interface import ConnectionAllocator
from ..options import ReceiverOptionChanges
from ..receiver import TrackReceiver
from ..receiver.callbacks import check_synchronous
from ..receiver.track_receiver import VariantCallback
from ..tracks import Track
from .connection_estimator import ConnectionEstimator
from .estimator_options import EstimatorOptions
from .lifetime import living

T = TypeVar("T")

HISTORY = 1_024
"""Packets of a track that can be asked for again: some seconds of it."""


class PacketKind(Enum):
    """What a packet is sent for."""

    MEDIA = "media"
    """For the first time."""
    REPEATED = "repeated"
    """Again, since the peer asked for it: on the stream of retransmissions."""
    PADDING = "padding"
    """To fill: media again, on the stream of retransmissions, or nothing but padding."""


class OutgoingPacket(NamedTuple, Generic[T]):
    """A packet whose turn has come: send it now.

    Attributes:
        track: Whose it is.
        kind: What it is sent for.
        packet: As it was given to `MediaTrack.send`; None for nothing but padding.
        padding: Where there is no packet: bytes of padding, the last of which says how many.
        size: Bytes that it has been charged with.
        number: Its transport-wide sequence number.
    """

    track: MediaTrack[T]
    kind: PacketKind
    packet: T | None
    padding: int
    size: int
    number: int


TransmitCallback: TypeAlias = Callable[[OutgoingPacket[Any]], object]
"""Builds a packet and sends it, now. A packet that could not be sent is a lost packet: the peer says so."""


class MediaTrackOptions(ReceiverOptionChanges, total=False):
    """What a track may be added with, besides the options of its receiver.

    Attributes:
        importance: Its media leave before those of less. Default: 2 for audio, 1 for a screen, else
            0. What is repeated leaves before all media of no audio.
        has_rtx: There is a stream of retransmissions. Default: True for video and screens.
        header_size: Of a packet of padding, bytes: everything above UDP but the padding.
        target: The best variant wanted; None for the best there is.
    """

    importance: int
    has_rtx: bool
    header_size: int
    target: str | None


_IMPORTANCE = {"audio": 2, "screen": 1}
_REPEATED = 1
"""Repeated packets leave with this importance at least: somebody waits for them already."""


class MediaTrack(Generic[T]):
    """One track of a `MediaSender`; made by `MediaSender.add_track`.

    Attributes:
        receiver: Its side of the protocol: what flows, and what is asked for.
    """

    def __init__(
        self,
        sender: MediaSender[T],
        track: Track,
        request_variant: VariantCallback,
        options: MediaTrackOptions,
    ) -> None:
        kept = dict(options)
        importance = kept.pop("importance", _IMPORTANCE.get(track.kind, 0))
        self._importance = quantities.whole_number("importance", importance, -1_000, 1_000)
        is_seen = track.kind != "audio"
        source: dict[str, Any] = {"has_rtx": kept.pop("has_rtx", is_seen)}
        self._rtx_header_size = RTX_HEADER_SIZE if source["has_rtx"] else 0
        if "header_size" in kept:
            source["header_size"] = kept.pop("header_size")
        self._filling: PaddingSource[T] = PaddingSource(**source)
        self._history: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._sender = sender
        can_pad = kept.get("can_pad", is_seen)
        self.receiver: TrackReceiver = TrackReceiver(
            sender.allocator,
            track,
            request_variant=request_variant,
            send_padding=self.pad if can_pad else None,
            **kept,  # type: ignore[arg-type]  # TrackReceiver checks them
        )
        self._scope = trio.CancelScope()

    @property
    def track(self) -> Track:
        """The track."""
        return self.receiver.track

    def send(self, packet: T, size: int, *, sequence: Hashable = None) -> bool:
        """Have a packet of the current variant sent in its turn, and charged to the track.

        Args:
            packet: What it takes to build it; `OutgoingPacket.packet`.
            size: Bytes that it will have, everything above UDP counted.
            sequence: What a peer that lost it will ask for: its number in its stream. None if it
                can not be asked for.

        Returns:
            Whether it will be sent: not before the connection is up.

        Raises:
            TypeError, ValueError: `size` is not a number of bytes above 0.
            trio.ClosedResourceError: The sender has ended.
        """
        return self._sender.estimator._pace(  # noqa: SLF001 - the callback is our own
            partial(self._sent, packet, size, sequence), size, self._importance, self
        )

    def _sent(self, packet: T, size: int, sequence: Hashable, number: int) -> None:
        self.receiver.packet_sent(size)
        self._filling.media_sent(packet, size)
        if sequence is not None:
            history = self._history
            history[sequence] = packet, size
            history.move_to_end(sequence)
            if len(history) > HISTORY:
                history.popitem(last=False)
        self._transmit(PacketKind.MEDIA, packet, 0, size, number)

    def switched(self, variant: str | None) -> None:
        """Its key frame is here: this variant is sent from now on (None: nothing is).

        What waits of the variant before is withdrawn. It is still repeated to a peer that lost it, and
        is no padding any more.

        Args:
            variant: One of its ladder.

        Raises:
            ValueError: It has no such variant.
            trio.ClosedResourceError: The sender has ended.
        """
        self.receiver.variant_switched(variant)
        self._sender.estimator.withdraw(self)
        self._filling.forget()

    def repeat(self, sequence: Hashable) -> bool:
        """The peer asks for a packet again (NACK).

        Args:
            sequence: As it was given to `send`.

        Returns:
            Whether it will be sent: it is remembered, and the budget allows it.

        Raises:
            trio.ClosedResourceError: The sender has ended.
        """
        known = self._history.get(sequence)
        if known is None:
            return False
        packet, size = known
        size += self._rtx_header_size
        estimator = self._sender.estimator
        if not estimator.may_repeat((id(self), sequence), size):
            return False
        importance = max(self._importance, _REPEATED)
        return estimator._pace(  # noqa: SLF001 - the callback is our own
            partial(self._repeated, packet, size), size, importance, None
        )

    def _repeated(self, packet: T, size: int, number: int) -> None:
        self.receiver.packet_sent(size)
        self._transmit(PacketKind.REPEATED, packet, 0, size, number)

    def pad(self, due: int) -> int:
        """Send padding of at least this many bytes, now; it is not charged here.

        Returns:
            Bytes that were sent; 0 while the connection is not up.
        """
        estimator = self._sender.estimator
        if not estimator.is_connected:
            return 0
        sent = 0
        for filling in self._filling.packets(due):
            number = estimator.packet_sent(filling.size, padding=True)
            match filling:
                case RepeatedPacket(packet, size):
                    self._transmit(PacketKind.PADDING, packet, 0, size, number)
                case PaddingPacket():
                    self._transmit(PacketKind.PADDING, None, filling.padding, filling.size, number)
            sent += filling.size
        return sent

    def _transmit(
        self, kind: PacketKind, packet: T | None, padding: int, size: int, number: int
    ) -> None:
        self._sender.transmit(OutgoingPacket(self, kind, packet, padding, size, number))

    def close(self) -> None:
        """End the track: it holds nothing any more, and what waits of it is withdrawn.

        May be called twice.
        """
        self._scope.cancel()
        self._sender.forget(self)

    @property
    def can_pad(self) -> bool:
        """Whether it is able to send padding."""
        handle = self.receiver.handle
        return handle is not None and handle.options.can_pad

    @property
    def allocation(self) -> int:
        """What it holds, bit/s."""
        handle = self.receiver.handle
        return 0 if handle is None else handle.allocation

    async def run(self) -> None:
        """The receiver's life, in the nursery of the sender."""
        try:
            with self._scope:
                await trio.lowlevel.checkpoint_if_cancelled()  # closed before it began
                await self.receiver.run()
        except Exception as error:
            self._sender.fail(error)
            raise
        finally:
            self.close()


class MediaSender(Generic[T]):
    """Sends tracks to one peer. Make one with `open_media_sender`, or with `create`.

    Attributes:
        allocator: Divides what there is.
        transmit: Sends a packet; see `TransmitCallback`.
        estimator: Of the connection: estimate, pacer, statistics.
        tracks: Those that are sent, in the order in which they were added.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        allocator: ConnectionAllocator,
        transmit: TransmitCallback,
        options: EstimatorOptions,
    ) -> None:
        check_synchronous("transmit", transmit)
        given: EstimatorOptions = {"send_padding": self._probe, **options}
        self.allocator: ConnectionAllocator = allocator
        self.transmit: TransmitCallback = transmit
        self.tracks: list[MediaTrack[T]] = []
        self._nursery = nursery
        self._failure: BaseException | None = None
        self.estimator: ConnectionEstimator = ConnectionEstimator.create(
            nursery, allocator, **given
        )

    @classmethod
    def create(
        cls,
        nursery: trio.Nursery,
        allocator: ConnectionAllocator,
        transmit: TransmitCallback,
        **options: Unpack[EstimatorOptions],
    ) -> MediaSender[T]:
        """Start one whose tasks run in the caller's nursery, until `destroy`.

        Args, raises: as `open_media_sender`; what a callback raises is raised in that nursery.
        """
        return cls(nursery, allocator, transmit, options)

    async def destroy(self) -> None:
        """End it, and wait until its estimator has ended. May be called twice."""
        self.close()
        await self.estimator.destroy()

    def close(self) -> None:
        """End it at once, and all its tracks. May be called twice."""
        for track in list(self.tracks):
            track.close()
        self.estimator.close()

    @property
    def failure(self) -> BaseException | None:
        """What a callback raised in a task of its; None as long as none has."""
        return self._failure or self.estimator.failure

    def fail(self, cause: BaseException) -> None:
        """A callback of a track has raised."""
        self._failure = self._failure or cause
        self.close()

    def add_track(
        self,
        track: Track,
        *,
        request_variant: VariantCallback | None = None,
        **options: Unpack[MediaTrackOptions],
    ) -> MediaTrack[T]:
        """Send another track.

        Args:
            track: With its ladder.
            request_variant: As for `TrackReceiver`: asks the source for a key frame of a variant, and
                `MediaTrack.switched` says when it is there. None for a track of one variant that
                has nothing to ask for: it flows as soon as it may.
            **options: See `MediaTrackOptions`, and `ReceiverOptions`.

        Raises:
            TypeError, ValueError: One of them is not usable.
            trio.ClosedResourceError: It has ended.
        """
        made: MediaTrack[T]

        def flow(variant: str | None, _reason: object) -> None:
            if variant is not None:
                made.switched(variant)

        ask = flow if request_variant is None else request_variant
        made = MediaTrack(self, track, ask, options)
        self.tracks.append(made)
        self._nursery.start_soon(made.run)
        return made

    def forget(self, track: MediaTrack[T]) -> None:
        """A track has ended."""
        if track in self.tracks:
            self.tracks.remove(track)
            if self.estimator.is_open:
                self.estimator.withdraw(track)

    def feedback_received(self, data: bytes) -> None:
        """RTCP came; see `ConnectionEstimator.feedback_received`. NACKs are for `MediaTrack.repeat`."""
        self.estimator.feedback_received(data)

    def connected(self) -> None:
        """The transport is up; see `ConnectionEstimator.connected`."""
        self.estimator.connected()

    def _probe(self, due: int) -> None:
        """A probe of the estimator lacks media: the track that sends most fills it up, and pays."""
        able = [one for one in self.tracks if one.can_pad]
        if able:
            track = max(able, key=attrgetter("allocation"))
            track.receiver.padding_sent(track.pad(due))


def open_media_sender(
    allocator: ConnectionAllocator,
    transmit: TransmitCallback,
    **options: Unpack[EstimatorOptions],
) -> AbstractAsyncContextManager[MediaSender[Any]]:
    """Open a sender for one peer; it lives exactly inside its ``async with``.

    Args:
        allocator: Divides what the connection carries; it is told the estimates.
        transmit: Builds a packet and sends it.
        **options: See `EstimatorOptions`. `send_padding` is taken care of.

    Returns:
        An asynchronous context manager. What its body raises leaves it unwrapped, and so does what
        a callback raises.

    Raises:
        TypeError, ValueError: One of them is not usable (when it is entered).
        trio.ClosedResourceError: The allocator has ended (when it is entered).
    """

    def start(nursery: trio.Nursery) -> MediaSender[Any]:
        return MediaSender.create(nursery, allocator, transmit, **options)

    return living(start)
