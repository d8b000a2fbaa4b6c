"""Three publish, two watch them over links of their own, and one of these is cut for ten seconds."""

from __future__ import annotations

import math
import time
from itertools import pairwise

import trio
from attrs import define

from tests.sfu.measure import serving
from tests.sfu.pages import open_page

PICTURE = "640,360,15"
BEFORE, CUT, AFTER = 8.0, 10.0, 12.0

LATE = 0.25
"""A relay that delivered one packet in a hundred later than this was starved, s: the bars here are
seconds."""

SLOW = 12
"""So is a publisher with fewer pictures a second than this, of 15."""


@define
class Outcome:
    starved: str | None
    calm: list[tuple[float, int]]
    cut: list[tuple[float, int]]
    cut_at: float


async def confer():
    async with (
        serving() as (port, _pid),
        open_page(port, "publish", "Ada", PICTURE) as first,
        open_page(port, "publish", "Bob", PICTURE) as second,
        open_page(port, "publish", "Cleo", PICTURE) as third,
        open_page(port, "watch") as calm,
        open_page(port, "watch") as cut,
    ):
        for page, rate in ((calm, 4_000_000), (cut, 2_500_000)):
            await page.watch(3)
            await page.socket.send(type="link", name="rate", value=rate)
        with trio.fail_after(20):
            for page in (calm, cut):
                await page.until(lambda page: len(page.frames) == 3)
        await trio.sleep(BEFORE)
        cut_at = time.monotonic()
        await cut.socket.send(type="link", name="cut", value=CUT)
        await trio.sleep(CUT + AFTER)
        late = max(page.states[-1]["link"]["late"] for page in (calm, cut))
        slow = min(
            (each["fps"] or 0)
            for page in (first, second, third)
            for each in page.stats[-1][1]
            if each["kind"] == "video" and each["fps"]
        )
        starved = None
        if late > LATE or slow < SLOW:
            starved = f"the relay was {1e3 * late:.0f} ms late, pictures came {slow} times a second"
        assert [calm.errors, cut.errors, calm.ended, cut.ended] == [[], [], None, None]
        return Outcome(starved, frames_of(calm), frames_of(cut), cut_at)


def frames_of(page):
    """All decoded pictures: (time, MID, width)."""
    return sorted((at, mid, width) for mid, each in page.frames.items() for at, width in each)


def switches(frames, begin, end):
    count = 0
    for mid in {mid for _, mid, _ in frames}:
        widths = [width for at, each, width in frames if each == mid and begin <= at < end]
        count += sum(before != after for before, after in pairwise(widths))
    return count


def rate(frames, begin, end):
    return sum(begin <= at < end for at, _, _ in frames) / (end - begin)


async def test_one_is_cut_off_and_the_other_is_not_disturbed(unless_starved):
    await unless_starved(confer, judge)


def judge(result):
    begin, cut_at = result.cut_at - 4, result.cut_at
    back_at = cut_at + CUT
    # Who was not cut: as many pictures as before, no switch.
    assert rate(result.calm, cut_at, back_at) >= 0.85 * rate(result.calm, begin, cut_at)
    assert switches(result.calm, cut_at, back_at) <= switches(result.calm, begin, cut_at) + 1
    # Who was: nothing meanwhile, each picture soon, and soon the layers that it had before.
    assert rate(result.cut, cut_at + 1, back_at) == 0
    for mid in {mid for _, mid, _ in result.cut}:
        first = min(
            (at for at, each, _ in result.cut if each == mid and at >= back_at), default=math.inf
        )
        assert first - back_at <= 2.0, "a picture after the cut"
    had = shown(result.cut, begin, cut_at)
    assert max(shown(result.cut, back_at, back_at + after) for after in (3, 4, 5, 6)) >= had


def shown(frames, begin, end):
    """What the pictures come to at that end, in pixels of their width."""
    return sum({mid: width for at, mid, width in frames if begin <= at < end}.values())
