"""What the checks stand on."""

import math
from typing import cast

import pytest
import trio

from trio_allocator import open_allocator
from trio_allocator.interface import ReceiverHandle
from trio_allocator.shell.passthrough import PassthroughAllocator
from trio_allocator.testing import (
    INVARIANTS,
    InvariantError,
    RecordingAllocator,
    Terms,
    check_allocator,
)
from trio_allocator.testing.bench import CAMERA, HIGH, obey, pass_time


async def test_who_is_asked_again_and_again_is_not_asked_for_ever():
    with RecordingAllocator() as allocator:
        camera = allocator.register_track_receiver(CAMERA, HIGH)

        class AskedForEver:
            def __init__(self):
                self.asks = 0

            def receive_nowait(self):
                self.asks += 1
                if self.asks % 2 == 0:
                    raise trio.WouldBlock
                return allocator.ask(camera, camera.allocation - 1)

            def accept_decrease(self, request, bitrate):
                return camera.accept_decrease(request, bitrate)

        with pytest.raises(InvariantError, match="N6"):
            obey([cast(ReceiverHandle, AskedForEver())])


@pytest.mark.parametrize("estimate", [None, 1_000_000])
async def test_time_passes_with_an_estimate_every_second_or_without(estimate, autojump_clock):
    with RecordingAllocator() as allocator:
        start = trio.current_time()
        await pass_time(allocator, estimate, 3.5)
        assert trio.current_time() - start == pytest.approx(3.5)
        assert [call.time - start for call in allocator.calls] == (
            [] if estimate is None else pytest.approx([1.0, 2.0, 3.0])
        )


def test_a_back_off_without_an_end_is_not_waited_for():
    check_allocator(
        lambda: open_allocator(refusal_backoff=math.inf),
        except_for=set(INVARIANTS) - {"N5"},
        terms=Terms(refusal_backoff=math.inf),
    )


class OpenedOnly(PassthroughAllocator):
    @classmethod
    def create(cls, nursery):
        raise NotImplementedError

    async def __aenter__(self):
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(self, *exception):
        self.close()


def test_an_allocator_may_do_without_a_form_for_other_nurseries():
    check_allocator(OpenedOnly, except_for=set(INVARIANTS) - {"L1"})
