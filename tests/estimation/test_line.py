"""The slope of a line through the last twenty points."""

from __future__ import annotations

from statistics import linear_regression

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation.line import RENEWAL, WINDOW, Line


def test_there_is_a_slope_from_the_twentieth_point_on():
    line = Line()
    slopes = [line.add(index / 10, index / 20) for index in range(WINDOW + 5)]
    assert slopes[: WINDOW - 1] == [None] * (WINDOW - 1)
    assert slopes[WINDOW - 1 :] == pytest.approx([0.5] * 6)


def test_points_of_one_x_have_no_slope():
    line = Line()
    for _ in range(2 * WINDOW):
        assert line.add(100.0, 1.0) is None
    for index in range(WINDOW - 1):
        line.add(101.0 + index, 1.0 + index)
    assert line.add(101.0 + WINDOW, 1.0 + WINDOW) == pytest.approx(1.0)


@given(
    st.lists(
        st.tuples(st.floats(0.001, 5), st.floats(-1, 1)), min_size=WINDOW, max_size=3 * WINDOW
    ),
    st.sampled_from([0.0, 1e6, -1e6]),
)
def test_it_is_that_of_least_squares(steps, origin):
    line = Line()
    points = []
    x = origin
    for step, y in steps:
        x += step
        points.append((x, y))
        slope = line.add(x, y)
    expected = linear_regression(*zip(*points[-WINDOW:], strict=True)).slope
    assert slope == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_errors_of_rounding_do_not_add_up():
    line = Line()
    for index in range(100 * RENEWAL):
        slope = line.add(1e5 + index / 1000, index / 3000)
    assert slope == pytest.approx(1 / 3, rel=1e-6)
