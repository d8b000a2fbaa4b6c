"""The sender of a flow of ours: cameras, an allocator, a pacer and an estimator.

What a real sender does but a coder, a browser and encryption: it packetises and paces, answers
NACKs within a budget, pads for the allocator's probes and for the estimator's, and charges all
that it sends to the allocator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from itertools import cycle
from operator import attrgetter

import trio
from attrs import evolve, frozen

from ...estimation import (
    FeedbackError,
    FeedbackLog,
    PaddingPacket,
    RepeatedPacket,
    SendSideEstimator,
)
from ...interface import ConnectionAllocator
from ...shell.connection_estimator import ConnectionEstimator, open_connection_estimator
from ...tracks import Track
from ..asked import Asked
from ..judging import Watched
from ..relay.datagrams import LOOPBACK, open_socket, receive
from .camera import Camera
from .frames import MakeFrames, SmoothFrames
from .rtp import (
    HEADER_SIZE,
    RtpHeader,
    build_rtp,
    padding,
    parse_nack,
    repetition,
    rtcp_packets,
)

_FIRST_SSRC = 1_000
_FIRST_SEQUENCE = 65_000
"""Near the end of its 16 bits, so that every run sees the numbers wrap."""


class Kind(Enum):
    """What a packet is for; the value is its priority in the pacer."""

    REPEATED = 2
    MEDIA = 1
    PADDING = 0


@frozen(eq=False)
class Outgoing:
    """A packet that waits for its turn; only then it gets a transport-wide number.

    Attributes:
        camera: Whose.
        kind: What for.
        header: With any transport-wide number.
        payload: The rest.
    """

    camera: Camera
    kind: Kind
    header: RtpHeader
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes above UDP."""
        return HEADER_SIZE + len(self.payload)


class Sender:
    """Sends the tracks to one address.

    Attributes:
        estimates: Times of Trio's clock, and the estimate from then on.
        media: Bytes of media sent.
        repeated: Times of Trio's clock, and bytes of retransmissions sent then.
    """

    _connection: ConnectionEstimator

    def __init__(
        self,
        allocator: ConnectionAllocator,
        tracks: Sequence[Track],
        start_bitrate: int,
        log: FeedbackLog | None,
        *,
        frames: MakeFrames = SmoothFrames,
        asked: Asked | None = None,
    ) -> None:
        self.estimates: list[tuple[float, float]] = []
        self.media: int = 0
        self.repeated: list[tuple[float, int]] = []
        self._allocator = allocator
        self._log = log
        self._socket = open_socket()
        asked = asked or Asked()
        self._cameras = [
            Camera(
                allocator,
                track,
                _FIRST_SSRC + 2 * index,
                self._pad,
                frames(track),
                left=self._withdraw,
                priority=asked.priorities.get(str(track.id), 0),
                weight=asked.weights.get(str(track.id), 1.0),
            )
            for index, track in enumerate(tracks)
        ]
        self._tracks = list(tracks)
        # Nothing is sent, not even padding, before there is somebody to send to.
        for camera in self._cameras:
            camera.receiver.mute()
        self._estimator = SendSideEstimator(start_bitrate=start_bitrate)
        self._is_active = False

    def connect(self, port: int) -> None:
        """Send to this port of the loopback address from now on."""
        self._socket.connect((LOOPBACK, port))

    def choices(self, origin: float) -> tuple[Watched, ...]:
        """What each picture was given over time, counted from a time of Trio's clock."""
        return tuple(
            Watched(
                tuple(track.variants.values()),
                chosen := tuple((time - origin, level) for time, level in camera.choices),
                chosen,
            )
            for track, camera in zip(self._tracks, self._cameras, strict=True)
            if track.kind != "audio"
        )

    def set_active(self, is_active: bool) -> None:
        """Begin, pause, resume: a pause is what a user does who turns all cameras off."""
        self._is_active = is_active
        for camera in self._cameras:
            if is_active:
                camera.receiver.unmute()
            else:
                camera.receiver.mute()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""
        try:
            async with (
                open_connection_estimator(
                    self._allocator,
                    estimator=self._estimator,
                    send_padding=self._fill,
                    wanted=self._wanted,
                    first_sequence=_FIRST_SEQUENCE,
                    log=self._log,
                ) as self._connection,
                trio.open_nursery() as nursery,
            ):
                for camera in self._cameras:
                    await nursery.start(camera.receiver.run)
                nursery.start_soon(self._film)
                nursery.start_soon(self._listen)
                nursery.start_soon(self._note_estimates)
                task_status.started()
        finally:
            self._socket.close()

    # --- media -------------------------------------------------------------------------------

    async def _film(self) -> None:
        begin = trio.current_time()
        rate = self._cameras[0].frames.rate
        # The cameras are no orchestra: each begins its frames at a time of its own.
        for number, camera in enumerate(cycle(self._cameras)):
            time = number / len(self._cameras) / rate
            await trio.sleep_until(begin + time)
            if self._is_active:
                self._enqueue_frame(camera, time)
        await trio.lowlevel.checkpoint()

    def _enqueue_frame(self, camera: Camera, time: float) -> None:
        for header, payload in camera.film(time):
            self._enqueue(Outgoing(camera, Kind.MEDIA, header, payload))

    def _enqueue(self, packet: Outgoing) -> None:
        # By the camera it can be withdrawn.
        self._connection.pace(
            partial(self._send, packet),
            packet.size,
            priority=packet.kind.value,
            key=packet.camera.ssrc,
        )

    def _withdraw(self, camera: Camera) -> None:
        """A layer is left: what waits of it only delays the new one."""
        self._connection.withdraw(camera.ssrc)

    # --- what goes out -----------------------------------------------------------------------

    def _send(self, packet: Outgoing, sequence: int) -> None:
        if packet.kind is Kind.MEDIA:
            packet = evolve(packet, header=packet.camera.numbered(packet.header))
        datagram = build_rtp(evolve(packet.header, transport_sequence=sequence), packet.payload)
        # Whatever the reason, it did not arrive, and feedback will say so.
        with suppress(OSError):
            self._socket.send(datagram)
        self._count(packet, trio.current_time())

    def _count(self, packet: Outgoing, now: float) -> None:
        receiver = packet.camera.receiver
        match packet.kind:
            case Kind.MEDIA:
                packet.camera.media_sent((packet.header, packet.payload))
                self.media += packet.size
                receiver.packet_sent(packet.size)
            case Kind.REPEATED:
                self.repeated.append((now, packet.size))
                receiver.packet_sent(packet.size)
            case Kind.PADDING:
                receiver.padding_sent(packet.size)

    # --- retransmissions and padding ---------------------------------------------------------

    def _pad(self, camera: Camera, size: int) -> None:
        """Send this many bytes of padding, as the allocator asks.

        They do not wait in the pacer: behind media they would be late, and then hasten it.
        """
        for packet in self._padding(camera, size):
            self._send(packet, self._connection.packet_sent(packet.size, padding=True))

    def _fill(self, due: int) -> None:
        """Send this many bytes of padding, as a probe of the estimator's needs them."""
        self._pad(max(self._cameras, key=attrgetter("rate")), due)

    def _wanted(self) -> float:
        if not self._is_active:
            return 0.0
        handles = (camera.receiver.handle for camera in self._cameras)
        return float(sum(handle.claim for handle in handles if handle is not None))

    def _padding(self, camera: Camera, due: int) -> Iterator[Outgoing]:
        for filling in camera.filling.packets(due):
            match filling:
                case RepeatedPacket((header, payload)):
                    yield self._repetition(camera, Kind.PADDING, header, payload)
                case PaddingPacket():
                    header = camera.next_repeated(is_padding=True)
                    yield Outgoing(camera, Kind.PADDING, header, padding(filling.padding))

    def _repeat(self, ssrc: int, sequences: Sequence[int]) -> None:
        camera = next((camera for camera in self._cameras if camera.ssrc == ssrc), None)
        if camera is None:
            return
        for sequence in sequences:
            media = camera.sent_before(sequence)
            if media is None:
                continue
            packet = self._repetition(camera, Kind.REPEATED, *media)
            if self._connection.may_repeat((ssrc, sequence), packet.size):
                self._enqueue(packet)

    @staticmethod
    def _repetition(camera: Camera, kind: Kind, header: RtpHeader, payload: bytes) -> Outgoing:
        return Outgoing(camera, kind, camera.next_repeated(), repetition(header, payload))

    # --- what comes back ---------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            while (received := receive(self._socket)) is not None:
                self._take(received[0])

    def _take(self, datagram: bytes) -> None:
        for packet in rtcp_packets(datagram):
            nack = parse_nack(packet)
            if nack is not None:
                self._repeat(*nack)
        with suppress(FeedbackError):
            self._connection.feedback_received(datagram)

    async def _note_estimates(self) -> None:
        async with self._allocator.estimate.eventual_values() as estimates:
            async for estimate in estimates:
                if estimate is not None:
                    self.estimates.append((trio.current_time(), estimate))
        await trio.lowlevel.checkpoint()
