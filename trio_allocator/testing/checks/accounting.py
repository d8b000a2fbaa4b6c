"""A1 to A6: the books."""

from __future__ import annotations

from ..bench import CAMERA, HIGH, Bench, total, unread
from ..violation import demand


async def grants_stay_within_the_estimate(bench: Bench) -> None:
    """A2: three that could use more than there is share what there is."""
    async with bench.open() as allocator:
        cameras = [allocator.register_track_receiver(CAMERA) for _ in range(3)]
        allocator.update_bandwidth_estimation(2 * HIGH)
        for camera in cameras:
            camera.request_allocation(HIGH)
            demand(
                total(cameras) <= 2 * HIGH,
                "A2",
                f"{total(cameras)} bit/s are allocated of {2 * HIGH}",
            )
            unread(camera)


CHECKS = {
    "A2": (grants_stay_within_the_estimate,),
}
