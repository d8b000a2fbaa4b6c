"""Allocators that hold what cannot be sent, or raise too late, and the kit that finds them."""

from trio_allocator import open_allocator
from trio_allocator.engine import headroom
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.headroom import Headroom
from trio_allocator.engine.receiver import Receiver

# --- A7: what cannot be sent is not held -----------------------------------------------------------


def a_minimum_is_kept_whatever_is_asked(patch):
    """Nobody goes below its lowest step by itself."""
    right = Engine._request

    def request(self, receiver, bitrate):
        right(self, receiver, max(bitrate, min(receiver.minimum, receiver.allocation)))

    patch.setattr(Engine, "_request", request)


def only_the_negotiable_give_back(patch):
    """One that is not negotiable keeps what it has."""
    right = Engine._request

    def request(self, receiver, bitrate):
        if receiver.options.negotiable or bitrate:
            right(self, receiver, bitrate)

    patch.setattr(Engine, "_request", request)


def the_one_that_returns_goes_to_the_end(patch):
    """It is treated as a newcomer."""

    def turn(self, level):
        return 0.0 if self.waiting_since is None else self.waiting_since

    patch.setattr(Receiver, "turn", turn)


# --- G10: raises are prompt ------------------------------------------------------------------------


def a_raise_waits_for_five_calm_seconds(patch):
    """What every estimate of five seconds would have carried is granted, and nothing else."""
    patch.setattr(Headroom, "trusted", lambda self, now: self._lowest(now, 5.0))


def falls_are_never_forgotten(patch):
    """Whatever is kept free after a fall stays free."""
    patch.setattr(headroom, "FALLS_FOR", 1e9)
    patch.setattr(headroom, "SPARE", 0.0)
    patch.setattr(Headroom, "_lowest", lambda *_: 0)
    return open_allocator  # with the policy that is careful after falls


def a_fifth_is_always_kept_free(patch):
    """Nobody is granted the last fifth of an estimate, however long it lasts."""
    right = Headroom.trusted
    patch.setattr(Headroom, "trusted", lambda self, now: int(0.8 * right(self, now)))


PLANTS = {
    "A7": (
        a_minimum_is_kept_whatever_is_asked,
        only_the_negotiable_give_back,
        the_one_that_returns_goes_to_the_end,
    ),
    "G10": (
        a_raise_waits_for_five_calm_seconds,
        falls_are_never_forgotten,
        a_fifth_is_always_kept_free,
    ),
}
