"""A camera asks why its picture is small, while the reason changes.

Run it: ``python examples/why_is_it_low.py``.
"""

import attrs
import trio

from trio_allocator import ProbingAllocator, Track, open_allocator

CAMERA = Track("camera", variants={"low": 150_000, "medium": 500_000, "high": 2_500_000})
SCREEN = Track("screen", kind="screen", variants={"slides": 300_000, "motion": 1_200_000})


def show(allocator: ProbingAllocator, moment: str) -> None:
    """Print what everybody holds, and why."""
    print(f"{moment}:")
    for receiver in allocator.explain().receivers:
        print(f"  {receiver}")


async def main() -> None:
    """Let one reason follow the other."""
    began = trio.current_time()  # Trio's clock begins anywhere
    async with open_allocator(estimates="ideal") as allocator:
        decisions = allocator.decisions()
        with (
            allocator.register_track_receiver(CAMERA) as camera,
            allocator.register_track_receiver(SCREEN, priority=1) as screen,
        ):
            camera.request_allocation(CAMERA.allocation("high"))
            show(allocator, "nobody has measured the network yet")
            allocator.update_bandwidth_estimation(1_000_000)
            show(allocator, "a slow network")
            allocator.update_bandwidth_estimation(4_000_000)
            screen.request_allocation(SCREEN.allocation("motion"))
            show(allocator, "a fast network")
            camera.set_options(max_bitrate=600_000)
            show(allocator, "a cap")
    print("what was decided:")  # what is unread can be read when all is over
    with decisions:
        async for decision in decisions:
            print(f"  {attrs.evolve(decision, time=decision.time - began)}")


if __name__ == "__main__":
    trio.run(main)
