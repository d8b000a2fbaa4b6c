"""One track of a simulated conference: its source, its receiver, and what befalls both."""

from __future__ import annotations

import math
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import trio

from ...receiver.actions import SwitchReason
from ...receiver.track_receiver import TrackReceiver
from .cameras import KEY_FRAME
from .media import (
    FRAME_RATE,
    LARGEST_PACKET,
    Act,
    PictureSource,
)
from .record import NONE, Seat
from .tracks import SimulatedTrack

if TYPE_CHECKING:
    from .conference import ConferenceRun


SMALLEST_PADDING = 60
"""Bytes: headers, and a little."""


class Participant:
    """One track: its source, its receiver, and what is known of both."""

    def __init__(self, run: ConferenceRun, number: int, spec: SimulatedTrack, seat: Seat) -> None:
        self.run = run
        self.number = number
        self.spec = spec
        self.seat = seat
        self.names: list[str] = [variant.name for variant in spec.track.ladder]
        self.chance: Random = Random(f"{run.seed}/source/{spec.name}")  # noqa: S311 - repeatable
        self.is_on: bool = True
        self.is_muted: bool = False
        self.top_is_off: bool = False
        self.pin: str | None = None
        self.target: str | None = None
        self.key_due: float = math.inf
        self.receiver: TrackReceiver | None = None
        self.scope: trio.CancelScope = trio.CancelScope()
        self.frames: int = 0
        self.importance: int = {"audio": 2, "screen": 1}.get(spec.kind, 0)
        self.level: int = NONE

    # --- joining and leaving ---------------------------------------------------------------------

    def join(self) -> None:
        """Register, and begin to send."""
        spec = self.spec
        options: dict[str, Any] = {
            "priority": spec.priority,
            "weight": spec.weight,
            "pausable": spec.pausable,
            "min_bitrate": spec.min_bitrate,
            "max_bitrate": spec.max_bitrate,
        }
        is_picture = spec.is_counted
        self.receiver = TrackReceiver(
            self.run.allocator,
            spec.track,
            request_variant=self.switch,
            send_padding=self.pad if is_picture else None,
            pin=self.pin,
            target=self.target,
            **options,
        )
        self.scope = trio.CancelScope()
        self.seat.joined.append(self.run.clock.now)
        self.run.nursery.start_soon(self._live, self.receiver, self.scope)
        self.run.touched.add(self.number)

    async def _live(self, receiver: TrackReceiver, scope: trio.CancelScope) -> None:
        with scope:
            await receiver.run()

    def leave(self) -> None:
        """Send no more, and give all back."""
        self.seat.decisions.append((self.run.clock.now, NONE, "left"))
        self.scope.cancel()
        self.receiver = None
        self.key_due = math.inf

    # --- what is asked of the source -------------------------------------------------------------

    def switch(self, variant: str | None, reason: SwitchReason) -> None:
        """The receiver wants another variant, from its key frame on."""
        now = self.run.clock.now
        level = NONE if variant is None else self.names.index(variant)
        self.seat.decisions.append((now, level, reason.value))
        self.run.touched.add(self.number)
        if variant is None:
            return
        if self.spec.is_counted:
            self.ask_for_key_frame()
        else:
            self.run.at(now, self.start_voice)

    def start_voice(self) -> None:
        """A voice needs no key frame: it flows at once."""
        if self.receiver is not None and self.receiver.queued_variant is not None:
            self.receiver.variant_switched(self.receiver.queued_variant)
            self.run.touched.add(self.number)

    def ask_for_key_frame(self) -> None:
        """One key frame serves all who asked before it came."""
        if self.key_due == math.inf and self.is_on:
            self.key_due = self.run.clock.now + self.chance.uniform(*KEY_FRAME)
            self.run.at(self.key_due, self.key_frame)

    def key_frame(self) -> None:
        """The publisher sends a key frame on each layer; here, what flows or is waited for comes."""
        if self.key_due != self.run.clock.now:
            return  # the one that was asked for was not sent: it had left, or was off
        self.key_due = math.inf
        receiver = self.receiver
        if receiver is None or not self.is_on:
            return
        queued = receiver.queued_variant
        if queued is not None and self.sends(queued):
            receiver.variant_switched(queued)
            # As `MediaTrack.switched`: what waits of the variant before would only be in the way.
            self.run.pacing.withdraw(self)
            self.run.touched.add(self.number)
        variant = receiver.current_variant
        if variant is None or not self.sends(variant):
            return
        self.send_frame(self.source.key_frame(variant, self.run.clock.now))
        self.frames += 1
        self.run.at(self.run.clock.now + 1 / FRAME_RATE, self.frame, self.frames)

    def sends(self, variant: str) -> bool:
        """Whether the source sends this variant."""
        return self.is_on and not (self.top_is_off and variant == self.names[-1])

    # --- frames and packets ----------------------------------------------------------------------

    @property
    def source(self) -> PictureSource:
        """The picture that it sends."""
        return self.run.pictures[self.number]

    def frame(self, series: int) -> None:
        """Send a frame, and come back for the next one."""
        receiver = self.receiver
        if series != self.frames or receiver is None:
            return
        variant = receiver.current_variant
        if variant is None or not self.sends(variant):
            return
        now = self.run.clock.now
        size = self.source.frame(variant, now)
        if size:
            self.send_frame(size)
        self.run.at(now + 1 / FRAME_RATE, self.frame, series)

    def talk(self) -> None:
        """Send a packet of a voice, and come back for the next one."""
        now = self.run.clock.now
        size, following = self.run.voices[self.number].frame(now)
        if self.receiver is not None and self.receiver.current_variant is not None:
            self.send_frame(size)
        self.run.at(now + following, self.talk)

    def send_frame(self, size: int) -> None:
        """Send a frame in packets."""
        pace = self.run.pacing.pace
        while size > 0:
            part = min(size, LARGEST_PACKET)
            pace(partial(self.send, part), part, priority=self.importance, key=self)
            size -= part

    def send(self, size: int, sequence: int) -> None:
        """Send one packet, and tell the receiver."""
        self.run.transmit(sequence, size, is_padding=False)
        if self.receiver is not None:
            self.receiver.packet_sent(size)

    def pad(self, due: int) -> int:
        """Send padding: media again, of the size that is due, as there is always some of about that."""
        left = due
        while left > 0:
            size = min(max(left, SMALLEST_PADDING), LARGEST_PACKET)
            self.run.transmit(self.run.pacing.packet_sent(size), size, is_padding=True)
            left -= size
        return due - left

    # --- what happens to it ----------------------------------------------------------------------

    def act(self, act: Act) -> None:
        """Something happens to it: it leaves, goes off, is muted, or is wanted otherwise."""
        receiver = self.receiver
        match act.kind:
            case "leave" if receiver is not None:
                self.leave()
            case "join" if receiver is None:
                self.join()
            case "off":
                self.is_on = False
                if receiver is not None:
                    receiver.variant_inactive(*self.names)
            case "on":
                self.is_on = True
                if receiver is not None:
                    for name in self.names:
                        receiver.variant_active(name)
                    if receiver.queued_variant is not None:
                        self.ask_for_key_frame()
            case "mute" | "unmute":
                self.is_muted = act.kind == "mute"
                if receiver is not None:
                    (receiver.mute if self.is_muted else receiver.unmute)()
            case "pin":
                self.pin = act.variant
                if receiver is not None:
                    receiver.set_pin(act.variant)
            case "target":
                self.target = act.variant
                if receiver is not None:
                    receiver.set_target(act.variant)
            case "top_off":
                self.top_is_off = True
                if receiver is not None:
                    receiver.variant_inactive(self.names[-1])
            case _:
                self.top_is_off = False
                if receiver is not None:
                    receiver.variant_active(self.names[-1])
        self.run.touched.add(self.number)

    def note(self) -> None:
        """Write down what flows and what could."""
        now = self.run.clock.now
        receiver = self.receiver
        variant = None if receiver is None else receiver.current_variant
        level = NONE if variant is None or not self.sends(variant) else self.names.index(variant)
        if level != self.level:
            self.level = level
            self.seat.flows.append((now, level))
        levels = self._levels()
        presence = self.seat.presence
        if not presence or presence[-1][1] != levels:
            presence.append((now, levels))

    def _levels(self) -> tuple[int, ...]:
        if self.receiver is None or self.is_muted:
            return ()
        best = len(self.names) - 1
        if self.target is not None:
            best = self.names.index(self.target)
        wanted = range(best + 1) if self.pin is None else (self.names.index(self.pin),)
        return tuple(level for level in wanted if self.sends(self.names[level]))
