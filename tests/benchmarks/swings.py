"""What one estimate costs among mixed ladders while it swings, against sorting 1000 random floats.

The garbage collector is out of the way, as in all of these benchmarks (`measure.seconds`): what it
costs, and when, depends on the program around, not on the event.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator

from trio_allocator import Track
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.engine.receiver import Receiver
from trio_allocator.engine.settings import Settings
from trio_allocator.messages import DecreaseAllocation
from trio_allocator.options import ReceiverOptions

from .measure import Row

BARS = {10: (3, 12), 30: (3, 15), 100: (3, 45)}
"""Receivers, and how many units the median and the 99th percentile may take."""

WORST = {100: 90, 300: 200}
"""Receivers, and how many units any event may take."""


def unit() -> float:
    """CPU time of sorting 1000 random floats, s."""
    chance = random.Random(7)
    numbers = [chance.random() for _ in range(1000)]
    return statistics.median(_timed(lambda: sorted(numbers)) for _ in range(200))


def _timed(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def swings(count: int, seed: int = 1) -> tuple[list[float], list[float]]:
    """Times of estimates and of requests, s, in one engine of so many receivers."""
    chance = random.Random(seed)
    engine = Engine(Settings(estimates="ideal", estimate_timeout=1e9), now=0.0)
    receivers: list[Receiver] = []
    for _ in range(count):
        rates = [int(rate * chance.uniform(0.6, 1.4)) for rate in (150_000, 500_000, 2_500_000)]
        track = Track("t", variants={f"v{rate}": rate for rate in rates})
        options = ReceiverOptions.for_track(track, {"pausable": True})
        receivers.append(engine.register(0.0, track, options, 0, PaddingAccount()))
        engine.request(0.0, receivers[-1], track.steps[-1])
    top = sum(receiver.steps[-1] for receiver in receivers)
    level, now = 0.5, 0.0
    estimates, requests = [], []
    for turn in range(1_000):
        now += 0.2
        level = min(1.0, max(0.05, level * chance.uniform(0.85, 1.18)))
        rate = int(top * level)
        estimates.append(_timed(lambda now=now, rate=rate: engine.update_estimate(now, rate)))
        _answer(engine, now)
        if turn % 5 == 0:
            receiver = chance.choice(receivers)
            wanted = chance.choice(receiver.steps)
            requests.append(_timed(lambda n=now, r=receiver, w=wanted: engine.request(n, r, w)))
            engine.request(now, receiver, receiver.steps[-1])
            _answer(engine, now)
    return estimates, requests


def _answer(engine: Engine, now: float) -> None:
    """Everybody is honest."""
    while effects := engine.drain():
        for effect in effects:
            request = effect.message
            receiver = engine.ledger[effect.receiver_id]
            if isinstance(request, DecreaseAllocation) and receiver.request is not None:
                number, limit = receiver.request.id, receiver.request.limit
                engine.answer(now, receiver, number, accepted=True, bitrate=limit)
                engine.request(now, receiver, receiver.steps[-1])


def rows() -> Iterator[Row]:
    """Measure 10, 30, 100 and 300 receivers."""
    one = unit()
    for count in (10, 30, 100, 300):
        gc.collect()
        gc.disable()
        try:
            estimates, requests = ([each / one for each in times] for times in swings(count))
        finally:
            gc.enable()
        for name, times, bars in (
            ("estimate", estimates, BARS.get(count)),
            ("request", requests, (3, 12)),
        ):
            cuts = statistics.quantiles(times, n=100)
            median, late, worst = statistics.median(times), cuts[98], max(times)
            met = None if bars is None else median <= bars[0] and late <= bars[1]
            yield Row(
                f"{name} that swings among {count} mixed ladders, in sorts of 1000 floats",
                f"median {median:.1f}, p99 {late:.1f}, worst {worst:.1f}",
                "" if bars is None else f"≤ {bars[0]}, {bars[1]}",
                met and (count not in WORST or worst <= WORST[count]),
            )
