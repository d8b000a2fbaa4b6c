"""A straight line through the last points."""

from __future__ import annotations

from collections import deque

WINDOW = 20
"""Points that the line is drawn through (libwebrtc, `TrendlineEstimatorSettings`)."""

RENEWAL = 256
"""After this many points the sums begin anew, so that errors of rounding do not add up."""

LEAST_SPREAD = WINDOW * WINDOW * 1e-8
"""n² times the variance of x below which there is no slope: 0.1 ms, less than feedback resolves."""


class Line:
    """The slope of the line of least squares, from sums that each point is added to and taken from."""

    __slots__ = ("_count", "_origin", "_points", "_x", "_xx", "_xy", "_y")

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()
        self._count = 0
        self._origin = 0.0
        self._x = self._y = self._xx = self._xy = 0.0

    def add(self, x: float, y: float) -> float | None:
        """Another point; the oldest goes.

        Returns:
            The slope; None as long as there are too few points, or all have the same x.
        """
        if self._count % RENEWAL == 0:
            self._renew(x)
        points = self._points
        self._count += 1
        x -= self._origin
        points.append((x, y))
        self._x += x
        self._y += y
        self._xx += x * x
        self._xy += x * y
        if len(points) <= WINDOW:
            return self._slope() if len(points) == WINDOW else None
        x, y = points.popleft()
        self._x -= x
        self._y -= y
        self._xx -= x * x
        self._xy -= x * y
        return self._slope()

    def _slope(self) -> float | None:
        spread = WINDOW * self._xx - self._x * self._x
        if spread < LEAST_SPREAD:
            return None
        return (WINDOW * self._xy - self._x * self._y) / spread

    def _renew(self, origin: float) -> None:
        """Sum up anew, and count x from here, lest its squares drown what they are to tell."""
        shift = self._origin - origin
        self._origin = origin
        self._points = deque((x + shift, y) for x, y in self._points)
        self._x = sum(x for x, _ in self._points)
        self._y = sum(y for _, y in self._points)
        self._xx = sum(x * x for x, _ in self._points)
        self._xy = sum(x * y for x, y in self._points)
