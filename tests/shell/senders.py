"""An app and its source for tests: it answers requests for key frames, stalls, and sends."""

from __future__ import annotations

import trio

from trio_allocator import SwitchReason, Track, TrackReceiver

LADDER = {"low": 120_000, "medium": 400_000, "high": 1_800_000}


class Sender:
    """A source that answers each request for a key frame, and an app that tells of it."""

    def __init__(self, allocator, name, ladder=LADDER, *, delay=0.1, rates=None, **settings):
        self.delay = delay
        self.rates = rates
        self.stalled = set()
        self.told = []
        kind = settings.pop("kind", "video")
        self.receiver = TrackReceiver(
            allocator,
            Track(name, kind=kind, variants=ladder),
            request_variant=self.request_variant,
            **settings,
        )

    def request_variant(self, variant, reason):
        self.told.append((trio.current_time(), variant, reason))
        if variant is not None and variant not in self.stalled:
            self.nursery.start_soon(self.key_frame, variant)

    async def key_frame(self, variant):
        await trio.sleep(self.delay)
        if self.receiver.queued_variant == variant and variant not in self.stalled:
            self.receiver.variant_switched(variant)

    async def start(self, nursery):
        self.nursery = nursery
        self.begun = trio.current_time()
        await nursery.start(self.receiver.run)
        if self.rates is not None:
            nursery.start_soon(self.send)
        return self

    async def send(self):
        while True:
            await trio.sleep(0.05)
            if self.current is not None and (rate := self.rates(self.current)):
                self.receiver.packet_sent(rate / 8 * 0.05)

    @property
    def current(self):
        return self.receiver.current_variant

    @property
    def held(self):
        return self.receiver.handle.allocation

    def switches(self):
        return [one for one in self.told if one[2] is not SwitchReason.REPEATED]


async def keep_estimating(allocator, estimate):
    while True:
        allocator.update_bandwidth_estimation(estimate() if callable(estimate) else estimate)
        await trio.sleep(0.5)
