"""How far raises may fill a connection whose estimator tells what was carried (G2)."""

from __future__ import annotations

import pytest

from tests.engine.support import NOW, granted, joined, opened
from trio_allocator.engine.probing.probe_status import ProbeStatus
from trio_allocator.messages import GrantReason

pytestmark = pytest.mark.invariant("G2")

LOW, MEDIUM, HIGH = 165_000, 550_000, 1_650_000
LADDER = (150_000, 500_000, 1_500_000)


def test_a_number_alone_is_taken_at_its_word():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, HIGH)
    engine.drain()
    engine.update_estimate(NOW, HIGH)
    assert granted(engine.drain()) == [(camera.id, HIGH, GrantReason.GRANTED)]


def test_raises_fill_only_a_share_of_what_was_not_carried():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    engine.drain()
    engine.update_estimate(NOW, MEDIUM, 0)
    assert granted(engine.drain()) == []
    engine.update_estimate(NOW + 1, MEDIUM * 100 // 83, 0)  # G10: a fifth to spare is enough
    assert granted(engine.drain()) == [(camera.id, MEDIUM, GrantReason.GRANTED)]


def test_what_was_carried_needs_no_headroom():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    engine.drain()
    engine.update_estimate(NOW, MEDIUM, MEDIUM - 1)
    assert granted(engine.drain()) == []
    engine.update_estimate(NOW, MEDIUM, MEDIUM)
    assert granted(engine.drain()) == [(camera.id, MEDIUM, GrantReason.GRANTED)]


def test_what_was_carried_is_no_more_than_the_estimate():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    engine.drain()
    engine.update_estimate(NOW, MEDIUM - 1, 10 * MEDIUM)
    assert granted(engine.drain()) == []


def test_a_decrease_is_judged_by_the_whole_estimate():
    engine = opened()
    camera = joined(engine, MEDIUM, *LADDER)
    engine.update_estimate(NOW, MEDIUM, 0)
    assert engine.drain() == []
    assert camera.allocation == MEDIUM


def test_what_is_freed_may_be_handed_on_whatever_was_carried():
    engine = opened()
    leaving = joined(engine, MEDIUM, *LADDER)
    staying = joined(engine, 0, *LADDER)
    engine.request(NOW, staying, MEDIUM)
    engine.update_estimate(NOW, MEDIUM, 0)
    engine.drain()
    engine.leave(NOW, leaving)
    assert granted(engine.drain()) == [(staying.id, MEDIUM, GrantReason.GRANTED)]


@pytest.mark.invariant("P1")
def test_a_step_that_fits_only_the_estimate_is_probed_for():
    engine = opened()
    camera = joined(engine, LOW, *LADDER)
    engine.request(NOW, camera, MEDIUM)
    engine.update_estimate(NOW, MEDIUM, LOW)
    assert engine.prober.status is ProbeStatus.PROBING
    engine.update_estimate(NOW, MEDIUM, MEDIUM)
    assert engine.prober.status is ProbeStatus.IDLE
