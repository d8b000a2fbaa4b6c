"""Metrics of allocators and estimators for Prometheus, read when they are scraped.

It needs the extra ``[metrics]``, which is `prometheus-client
<https://prometheus.github.io/client_python/>`_. Names follow the `conventions of Prometheus
<https://prometheus.io/docs/practices/naming/>`_: rates are **bytes** per second (times 8 is bit/s),
counters end in ``_total``. What is not known has no sample: an unknown estimate is not 0.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

import trio
from attrs import fields
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from . import quantities
from .receiver import ReceiverStatistics, TrackReceiver
from .report.explanation import Explanation, ReceiverExplanation
from .report.statistics import AllocatorStatistics
from .shell.connection_estimator import ConnectionEstimator
from .shell.estimator_options import EstimatorStatistics

T = TypeVar("T")

PREFIX = "trio_allocator_"
"""What every metric's name begins with."""

OTHER = "other"
"""The name under which connections and tracks beyond the limits are added up."""

_CONNECTION = {
    "connections": "Connections that are open.",
    "connections_without_estimate": "Connections whose estimate is unknown.",
    "estimate_bytes_per_second": "Estimate in force.",
    "usable_bytes_per_second": "What the allocations may come to: the estimate within the limits.",
    "committed_bytes_per_second": "Sum of all allocations.",
    "receivers": "Track receivers that are registered.",
    "receivers_waiting": "Track receivers that wait for more than they hold.",
    "probe_target_bytes_per_second": "Rate that media and padding follow; 0 without a probe.",
}
"""Gauges of a connection: those of one name are added up."""

_ESTIMATOR = {
    "estimator_loss_ratio": "Share of the packets that was lost lately, 0 to 1; the worst of a name.",
    "estimator_round_trip_seconds": "Round-trip time; the longest of a name.",
    "estimator_queue_delay_seconds": "Delay of the queue at the link; the longest of a name.",
}
"""Gauges of an estimator: the largest of one name counts."""

_TRACK = {
    "track_allocation_bytes_per_second": "Allocation of a track.",
    "track_claim_bytes_per_second": "What a track asked for last.",
}
"""Gauges of a track: those of one name are added up."""


class ExplainingAllocator(Protocol):
    """An allocator that can be asked how it stands, such as that of `open_allocator`."""

    def explain(self) -> Explanation:
        """Why everybody holds what it holds."""
        ...

    def statistics(self) -> AllocatorStatistics:
        """Counters; may be read after the end."""
        ...


_Gauges: TypeAlias = dict[str, float]


@dataclass
class _Reading:
    """What is known of the connections of one name."""

    gauges: _Gauges = field(default_factory=lambda: defaultdict(float))
    tracks: dict[str, _Gauges] = field(default_factory=dict)
    blocked: Counter[tuple[str, str]] = field(default_factory=Counter)
    limited: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)


@dataclass(eq=False)
class WatchedConnection:
    """One connection while it is shown.

    Attributes:
        name: The one that it is shown by.
        allocator: Its allocator.
        estimator: Its estimator, if it is shown.
        receivers: Those whose switches are counted.
        left: What those counted whose life is over.
        most_lost: Packets that the estimator once took for lost.
    """

    name: str
    allocator: ExplainingAllocator
    estimator: ConnectionEstimator | None
    receivers: list[TrackReceiver] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    most_lost: int = 0

    def add(self, receiver: TrackReceiver) -> None:
        """Count what a receiver of this connection does."""
        self._let_go()
        self.receivers.append(receiver)

    def count(self) -> Counter[str]:
        """All counters by the name of their metric, without its ending."""
        self._let_go()
        counters = Counter(self.allocator.statistics().as_dict())
        for receiver in self.receivers:
            counters.update(receiver.statistics().as_dict())
        counters.update(self.left)
        if self.estimator is not None:
            counted = self.estimator.statistics().as_dict()
            # A packet told lost may yet be told to have come; a counter does not fall.
            self.most_lost = counted["lost"] = max(self.most_lost, counted["lost"])
            for name, count in counted.items():
                counters[_estimator_metric(name)] = count
        return counters

    def _let_go(self) -> None:
        """Those whose life is over are kept as numbers only."""
        for receiver in [one for one in self.receivers if one.ended]:
            self.receivers.remove(receiver)
            self.left.update(receiver.statistics().as_dict())


class MetricsCollector(Collector):
    """Collects the metrics of any number of connections of one Trio run.

    ::

        collector = MetricsCollector()
        prometheus_client.REGISTRY.register(collector)
        ...
        async with (
            open_allocator() as allocator,
            open_connection_estimator(allocator) as estimator,
        ):
            with collector.connection(allocator, estimator, name="alice"):
                ...

    Connections of one name are added up, and what one has counted stays in the sum after its end,
    so a counter never falls while its name is shown. It costs nothing until it is scraped; then,
    time in proportion to the receivers. It may be scraped in any thread: a scrape outside of Trio
    waits for the Trio thread to read the figures, and formats them by itself.

    Args:
        max_names: Names of connections that are shown one by one, 1 to 10 000. An ended one gives
            way to a new one, the longest ended first; while all are live, more are added up as
            ``"other"``.
        max_tracks: Tracks of each name that are shown one by one, 0 to 10 000, the longest
            registered first. More are added up as ``"other"``. With 0 no track is shown.

    Raises:
        TypeError, ValueError: An argument is not usable.
    """

    def __init__(self, *, max_names: int = 100, max_tracks: int = 100) -> None:
        self._max_names = quantities.whole_number("max_names", max_names, 1, 10_000)
        self._max_tracks = quantities.whole_number("max_tracks", max_tracks, 0, 10_000)
        self._watched: list[WatchedConnection] = []
        self._token: trio.lowlevel.TrioToken | None = None
        # Name to what its ended connections counted. The order is that of the last end.
        self._ended: dict[str, Counter[str]] = {}

    def connection(
        self,
        allocator: ExplainingAllocator,
        estimator: ConnectionEstimator | None = None,
        *,
        name: str = "default",
    ) -> AbstractContextManager[WatchedConnection]:
        """Show a connection for as long as the block lasts.

        Args:
            allocator: Its allocator.
            estimator: Its estimator; None if something else makes the estimates.
            name: The value of the label ``connection``. Connections of one name are added up.

        Returns:
            A context manager; `WatchedConnection.add` of what it gives counts the switches of a
            `TrackReceiver`, too.

        Raises:
            TypeError: `name` is not a string.
            RuntimeError: It is entered outside of Trio, or in another Trio run than that of the
                connections which are shown already.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, not {name!r}")
        return self._show(allocator, estimator, name)

    @contextmanager
    def _show(
        self, allocator: ExplainingAllocator, estimator: ConnectionEstimator | None, name: str
    ) -> Iterator[WatchedConnection]:
        token = trio.lowlevel.current_trio_token()
        if self._watched and token is not self._token:
            raise RuntimeError("all connections of a MetricsCollector must be of one Trio run")
        self._token = token
        watched = WatchedConnection(self._shown(name), allocator, estimator)
        self._watched.append(watched)
        try:
            yield watched
        finally:
            self._watched.remove(watched)
            counted = self._ended.pop(watched.name, Counter()) + watched.count()
            self._ended[watched.name] = counted

    def _shown(self, name: str) -> str:
        """The name that there is room for; an ended connection may have to give way."""
        live = {watched.name for watched in self._watched}
        known = live | self._ended.keys()
        if name in known or len(known - {OTHER}) < self._max_names:
            return name
        ended = next((other for other in self._ended if other not in live | {OTHER}), None)
        if ended is None:
            return OTHER
        del self._ended[ended]
        return name

    # --- a scrape ----------------------------------------------------------------------------

    def describe(self) -> Iterable[Metric]:
        """Every metric there may be, without samples: what a registry asks for first."""
        return _families({})

    def collect(self) -> Iterable[Metric]:
        """Every metric with its samples. The Trio thread reads them, whichever thread asks."""
        return _families(self._in_trio(self._read))

    def _in_trio(self, function: Callable[[], T]) -> T:
        token = self._token
        if token is None or trio.lowlevel.in_trio_run():
            return function()
        try:
            return trio.from_thread.run_sync(function, trio_token=token)
        except trio.RunFinishedError:
            return function()  # nobody is left to change anything meanwhile

    def _read(self) -> dict[str, _Reading]:
        readings: dict[str, _Reading] = defaultdict(_Reading)
        for name, counted in self._ended.items():
            readings[name].counters.update(counted)
            readings[name].gauges["connections"] += 0
        for watched in self._watched:
            self._read_one(watched, readings[watched.name])
        return readings

    def _read_one(self, watched: WatchedConnection, reading: _Reading) -> None:
        reading.counters.update(watched.count())
        try:
            explanation = watched.allocator.explain()
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return  # it has ended inside of the block: its counters stay
        _add(reading.gauges, _of_connection(explanation))
        for receiver in explanation.receivers if self._max_tracks else ():
            self._read_track(receiver, reading)
        if watched.estimator is not None:
            told = watched.estimator.explain()
            reading.limited[told.limit.value] += 1
            _raise(reading.gauges, "estimator_loss_ratio", told.loss)
            _raise(reading.gauges, "estimator_queue_delay_seconds", told.queue_delay)
            if told.rtt is not None:
                _raise(reading.gauges, "estimator_round_trip_seconds", told.rtt)

    def _read_track(self, receiver: ReceiverExplanation, reading: _Reading) -> None:
        track = receiver.track_id
        if track not in reading.tracks and len(reading.tracks) >= self._max_tracks:
            track = OTHER
        _add(
            reading.tracks.setdefault(track, defaultdict(float)),
            {
                "track_allocation_bytes_per_second": receiver.allocation / 8,
                "track_claim_bytes_per_second": receiver.claim / 8,
            },
        )
        reading.blocked[track, receiver.blocker.value] += 1


def _of_connection(explanation: Explanation) -> _Gauges:
    status = explanation.status
    gauges: _Gauges = {
        "connections": 1,
        "connections_without_estimate": int(status.estimate is None),
        "committed_bytes_per_second": status.committed / 8,
        "receivers": status.receivers,
        "receivers_waiting": status.waiting,
        "probe_target_bytes_per_second": status.probe_target / 8,
    }
    if status.estimate is not None:
        gauges["estimate_bytes_per_second"] = status.estimate / 8
    if status.usable is not None:
        gauges["usable_bytes_per_second"] = status.usable / 8
    return gauges


def _add(gauges: _Gauges, more: Mapping[str, float]) -> None:
    for name, value in more.items():
        gauges[name] += value


def _raise(gauges: _Gauges, name: str, value: float) -> None:
    gauges[name] = max(gauges.get(name, 0), value)


def _families(readings: Mapping[str, _Reading]) -> Iterator[Metric]:
    """The metrics, each with a sample for every reading that knows it."""
    for name, text in (_CONNECTION | _ESTIMATOR).items():
        gauge = GaugeMetricFamily(PREFIX + name, text, labels=["connection"])
        for connection, reading in readings.items():
            if name in reading.gauges:
                gauge.add_metric([connection], reading.gauges[name])
        yield gauge
    for name, text in _TRACK.items():
        gauge = GaugeMetricFamily(PREFIX + name, text, labels=["connection", "track"])
        for connection, reading in readings.items():
            for track, gauges in reading.tracks.items():
                gauge.add_metric([connection, track], gauges[name])
        yield gauge
    blocked = GaugeMetricFamily(
        PREFIX + "track_blocked",
        "Receivers of a track by what blocks their next step first; see Blocker.",
        labels=["connection", "track", "blocker"],
    )
    limited = GaugeMetricFamily(
        PREFIX + "estimator_limited",
        "Estimators by what holds their estimate down; see Limit.",
        labels=["connection", "limit"],
    )
    for connection, reading in readings.items():
        for (track, blocker), count in reading.blocked.items():
            blocked.add_metric([connection, track, blocker], count)
        for limit, count in reading.limited.items():
            limited.add_metric([connection, limit], count)
    yield from (blocked, limited)
    for name, text in _COUNTERS.items():
        counter = CounterMetricFamily(PREFIX + name, text, labels=["connection"])
        for connection, reading in readings.items():
            if name in reading.counters:
                counter.add_metric([connection], reading.counters[name])
        yield counter


_PACKETS = {"sent", "padding", "acknowledged", "lost", "repeated", "withdrawn"}
"""Counters of an estimator that count packets, and do not say so."""


def _estimator_metric(name: str) -> str:
    return f"estimator_{name}_packets" if name in _PACKETS else f"estimator_{name}"


def _described(statistics: type, renamed: Callable[[str], str] = str) -> Iterator[tuple[str, str]]:
    """The fields of a class of counters, each with its text from the docstring."""
    texts = dict(
        re.findall(
            r"^    (\w+): (.*(?:\n     .*)*)$", inspect.getdoc(statistics) or "", re.MULTILINE
        )
    )
    for attribute in fields(statistics):
        text = " ".join(texts.get(attribute.name, attribute.name).split())
        yield renamed(attribute.name), text


_COUNTERS: dict[str, str] = {
    **dict(_described(AllocatorStatistics)),
    **dict(_described(ReceiverStatistics)),
    **dict(_described(EstimatorStatistics, _estimator_metric)),
}
"""Counters of a connection: name to text."""
