"""Small worlds for tests."""

from trio_allocator.lab.simulation.trace import Trace, make_trace
from trio_allocator.lab.simulation.world import World


def steady(rate: float, seconds: int = 60, *, rtt: float = 0.05) -> Trace:
    """A link that never changes."""
    return make_trace("steady", range(seconds), [rate] * seconds, rtt)


def steps(*parts: tuple[int, float], rtt: float = 0.05) -> Trace:
    """A link of (seconds, bit/s), one after the other."""
    rates = [rate for seconds, rate in parts for _ in range(seconds)]
    return make_trace("steps", range(len(rates)), rates, rtt)


class Script:
    """An allocator under test that does what it is told: {second: [(camera, variant), …]}."""

    bank = 0.01
    wake_step = float("inf")
    forced = 0
    asked = 0

    def __init__(self, acts, padding_target=0.0):
        self.acts = acts
        self.padding_target = padding_target

    def start(self, world):
        self.world = world

    def estimate(self, _estimate):
        for camera, variant in self.acts.get(self.world.step // 100, ()):
            self.world.request(camera, variant)

    def switched(self, camera, variant):
        pass

    def advance(self):
        raise AssertionError("it is never due")


def scripted(trace, receivers, acts, *, padding_target=0.0, noise=0.0):
    """A world after such a run, with exact estimates."""
    world = World(trace, receivers, Script(acts, padding_target), "ideal", 1, noise=noise)
    world.run()
    return world
