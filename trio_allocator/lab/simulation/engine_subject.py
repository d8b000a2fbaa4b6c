"""The project's own engine as allocator under test, with the selectors that its users run.

Everything is as in `trio_allocator.shell.allocator` and `trio_allocator.receiver.TrackReceiver`, but for
Trio: a message is read in the instant that it is sent, and the first one sent first.
"""

from __future__ import annotations

import heapq
import math

from ...engine.effects import Act
from ...engine.engine import Engine
from ...engine.probing.padding import PaddingAccount
from ...engine.receiver import Receiver
from ...messages import (
    AllocationGranted,
    DecreaseAllocation,
    GrantReason,
    RejectDecrease,
    RequestAllocation,
    SetVariants,
)
from ...options import ReceiverOptions
from ...receiver.actions import RequestVariant, SelectorAction
from ...receiver.selector import VariantSelector
from ...tracks import Track
from .cameras import AUDIO, AUDIO_TRACKS, NOMINAL, NONE, VARIANTS
from .clock import step_at
from .world import World

LADDER = dict(zip(VARIANTS, NOMINAL, strict=True))

_FORCED = (GrantReason.FORCED, GrantReason.BREACH)


class EngineSubject:
    """See the module.

    Attributes:
        forced: How often an allocation was forced down.
        asked: How many decreases were asked for.

    Args:
        engine: A fresh one, that began at time 0.
        receivers: How many cameras there are.
    """

    bank: float = 0.01

    def __init__(self, engine: Engine, receivers: int) -> None:
        self.engine: Engine = engine
        self.forced: int = 0
        self.asked: int = 0
        self._count = receivers
        self._receivers: list[Receiver] = []
        self._accounts: list[PaddingAccount] = []
        self._selectors: list[VariantSelector] = []
        self._index: dict[int, int] = {}
        self._grants: dict[int, int] = {}
        self._requests: dict[int, DecreaseAllocation] = {}
        self._timers: list[tuple[float, int]] = []
        self._timer_at: list[float] = []
        self._counted: list[float] = []
        self._metered = 0
        self._sent = 0.0

    def start(self, world: World) -> None:
        """See `Subject.start`: cameras register with their lowest variant, as users' do."""
        self._world = world
        for number in range(min(self._count, AUDIO_TRACKS)):
            track = Track(f"audio{number}", kind="audio", variants={"audio": AUDIO})
            options = ReceiverOptions.for_track(track, {})
            self.engine.register(0.0, track, options, track.steps[0], PaddingAccount())
        for camera in range(self._count):
            track = Track(f"camera{camera}", variants=LADDER)
            options = ReceiverOptions.for_track(track, {"pausable": True, "bare_steps": True})
            account = PaddingAccount()
            receiver = self.engine.register(0.0, track, options, track.bare_steps[0], account)
            self._index[receiver.id] = camera
            self._receivers.append(receiver)
            self._accounts.append(account)
            self._selectors.append(VariantSelector(track, pausable=True, bare_steps=True))
            self._timer_at.append(math.inf)
            self._counted.append(0.0)
        for camera, selector in enumerate(self._selectors):
            self._perform(camera, selector.registered(self._receivers[camera].allocation, 0.0))
        self._converse()

    def estimate(self, estimate: float) -> None:
        """See `Subject.estimate`."""
        self._meter()
        self.engine.update_estimate(self._world.now, int(estimate))
        self._converse()

    def switched(self, camera: int, variant: int) -> None:
        """See `Subject.switched`."""
        selector = self._selectors[camera]
        self._counted[camera] = self._world.cameras.sent(self._world.step, camera)
        self._perform(camera, selector.variant_switched(VARIANTS[variant], self._world.now))
        self._converse()

    def advance(self) -> None:
        """See `Subject.advance`."""
        step, now = self._world.step, self._world.now
        while self._timers and self._timers[0][0] <= step:
            at, camera = heapq.heappop(self._timers)
            if at == self._timer_at[camera]:
                self._timer_at[camera] = math.inf
                selector = self._selectors[camera]
                sent = self._world.cameras.sent(step, camera)
                selector.rates.sent += (sent - self._counted[camera]) / 8
                self._counted[camera] = sent
                self._perform(camera, selector.evaluate(now))
                self._converse()
        if step_at(self.engine.wake_at) <= step:
            self._meter()
            self.engine.advance(now)
            self._converse()

    @property
    def wake_step(self) -> float:
        """See `Subject.wake_step`."""
        timer = self._timers[0][0] if self._timers else math.inf
        return min(timer, step_at(self.engine.wake_at))

    @property
    def padding_target(self) -> float:
        """See `Subject.padding_target`."""
        return self.engine.prober.target

    def _meter(self) -> None:
        """Tell the engine what was sent: while padding probes an idle connection, media end it."""
        link = self._world.link
        self._world.catch_up()
        self._sent += sum(link.media[self._metered :]) / 8
        self._metered = link.step
        self.engine.meter.media = int(self._sent)

    # --- messages ----------------------------------------------------------------------------

    def _converse(self) -> None:
        """Let everybody read and answer until nothing is left to read."""
        self._hand_out()
        while self._grants or self._requests:
            receiver_id = next(iter(self._grants or self._requests))
            camera = self._index[receiver_id]
            selector, now = self._selectors[camera], self._world.now
            if receiver_id in self._grants:
                self._perform(camera, selector.granted(self._grants.pop(receiver_id), now))
            else:
                self._answer(camera, self._requests.pop(receiver_id))
            self._hand_out()

    def _hand_out(self) -> None:
        for effect in self.engine.drain():
            receiver_id = effect.receiver_id
            match effect.act, effect.message:
                case _, AllocationGranted(allocation, reason):
                    self.forced += reason in _FORCED
                    if receiver_id in self._index:
                        self._grants[receiver_id] = allocation
                case Act.WITHDRAWN, _:
                    self._requests.pop(receiver_id, None)
                case Act.REVISED, DecreaseAllocation() as request:
                    if receiver_id in self._requests:
                        self._requests[receiver_id] = request
                case _, DecreaseAllocation() as request:
                    self.asked += 1
                    self._requests[receiver_id] = request

    def _answer(self, camera: int, request: DecreaseAllocation) -> None:
        selector, receiver, now = self._selectors[camera], self._receivers[camera], self._world.now
        if receiver.allocation != selector.allocation:
            self._perform(camera, selector.granted(receiver.allocation, now))
        answer = selector.answer(request)
        if isinstance(answer, RejectDecrease):
            self.engine.answer(now, receiver, request.request_id, accepted=False)
            return
        lower = int(answer.bitrate or 0)
        if self.engine.answer(now, receiver, request.request_id, accepted=True, bitrate=lower):
            self._perform(camera, selector.lowered(lower, now))

    def _perform(self, camera: int, actions: tuple[SelectorAction, ...]) -> None:
        selector, receiver = self._selectors[camera], self._receivers[camera]
        now = self._world.now
        pending = list(actions)
        for action in pending:
            match action:
                case RequestVariant(variant, _):
                    chosen = NONE if variant is None else VARIANTS.index(variant)
                    self._world.request(camera, chosen)
                case SetVariants(variants):
                    track = receiver.track.with_variants(variants)
                    account = self._accounts[camera]
                    self.engine.configure(now, receiver, track, receiver.options, account)
                    pending += selector.ladder_told(receiver.allocation, now)
                case RequestAllocation(bitrate):
                    self.engine.request(now, receiver, int(bitrate))
        # By rounding it may be due a hair after now: then it is due in the next step.
        at = max(step_at(selector.next_evaluation), self._world.step + 1)
        if at != self._timer_at[camera]:
            self._timer_at[camera] = at
            if at < math.inf:
                heapq.heappush(self._timers, (at, camera))
