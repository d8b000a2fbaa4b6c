"""A libwebrtc publishes, another watches over a link that becomes wider and narrower."""

from __future__ import annotations

from tests.sfu.measure import STEPS, run


async def test_the_picture_follows_the_link(unless_starved):
    await unless_starved(lambda: run(STEPS, 25.0), judge)


def judge(result):
    print(result)
    assert result.connected_after <= 3.0
    assert result.over_committed == 0, "what is allocated is usable, or declared"
    assert abs(result.lost_told - result.lost_really) <= 5, "but for the tail"
    narrow = result.sections[2]
    assert narrow.over <= 1.1, "within a second of the drop the link carries what is sent"
    assert narrow.filled <= 1.0
    # How soon, and how long pictures freeze, is judged by medians of three: `python -m tests.sfu.measure`.
    first, _second = result.climbs
    assert first is not None, "the better layer comes when the link is wider"
    assert result.switches <= 6
    assert result.longest_gap <= 2.0, "pictures throughout"
    assert result.frames >= 0.8 * 20 * 25
