"""What Prometheus would read: judged by its own client's parsers, never by our text."""

from __future__ import annotations

import re
import threading
from functools import partial

import prometheus_client
import pytest
import trio
import trio.testing
from attrs import fields
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from trio.testing import MockClock

from tests.estimation.feedbacks import arrived
from trio_allocator import (
    AllocatorStatistics,
    ProbingAllocator,
    Track,
    TrackReceiver,
    open_allocator,
    open_connection_estimator,
)
from trio_allocator.metrics import MetricsCollector

CAMERA = Track("camera", variants={"low": 150_000, "medium": 500_000, "high": 2_500_000})
VOICE = Track("voice", kind="audio", variants={"opus": 40_000})


class Scrape:
    """A registry with one collector, and what two parsers make of its text."""

    def __init__(self, **limits):
        self.collector = MetricsCollector(**limits)
        self.registry = prometheus_client.CollectorRegistry(auto_describe=True)
        self.registry.register(self.collector)

    def text(self):
        return prometheus_client.generate_latest(self.registry).decode()

    def samples(self):
        """Name and labels to value; both formats say the same."""
        found = list(self._parsed(parse_text, self.text()))
        assert len(dict(found)) == len(found), "a sample came twice"
        other = list(self._parsed(parse_openmetrics, openmetrics(self.registry).decode()))
        assert dict(found) == dict(other)
        return dict(found)

    @staticmethod
    def _parsed(parse, text):
        for family in parse(text):
            for sample in family.samples:
                yield (
                    (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))),
                    (sample.value),
                )


def of(samples, name, *labels):
    return samples["trio_allocator_" + name, *labels]


def names(samples):
    return {name for name, *_labels in samples}


async def test_an_allocator_is_shown_in_bytes_a_second(autojump_clock):
    scrape = Scrape()
    async with open_allocator(initial_estimate=800_000) as allocator:
        camera = allocator.register_track_receiver(CAMERA, 160_000, bare_steps=True)
        camera.request_allocation(2_500_000)
        with scrape.collector.connection(allocator, name="alice"):
            samples = scrape.samples()
    alice = "connection=alice"
    assert of(samples, "connections", alice) == 1
    assert of(samples, "connections_without_estimate", alice) == 0
    assert of(samples, "estimate_bytes_per_second", alice) == 100_000
    assert of(samples, "usable_bytes_per_second", alice) == 100_000
    assert of(samples, "committed_bytes_per_second", alice) == 62_500
    assert of(samples, "receivers", alice) == 1
    assert of(samples, "receivers_waiting", alice) == 1
    track = (alice, "track=camera")
    assert of(samples, "track_allocation_bytes_per_second", *track) == 62_500
    assert of(samples, "track_claim_bytes_per_second", *track) == 312_500
    assert of(samples, "track_blocked", "blocker=network", *track) == 1
    assert of(samples, "requests_total", alice) == 1
    assert of(samples, "granted_total", alice) == 1


async def test_what_is_unknown_has_no_sample(autojump_clock):
    scrape = Scrape()
    async with open_allocator() as allocator:
        with scrape.collector.connection(allocator):
            samples = scrape.samples()
    assert of(samples, "connections_without_estimate", "connection=default") == 1
    assert "trio_allocator_estimate_bytes_per_second" not in names(samples)
    assert "trio_allocator_usable_bytes_per_second" not in names(samples)


async def test_an_estimator_is_shown(autojump_clock):
    scrape = Scrape()
    async with open_allocator() as allocator, open_connection_estimator(allocator) as estimator:
        with scrape.collector.connection(allocator, estimator):
            samples = scrape.samples()
            one = "connection=default"
            assert of(samples, "estimator_limited", one, "limit=start") == 1
            assert of(samples, "estimator_loss_ratio", one) == 0
            assert "trio_allocator_estimator_round_trip_seconds" not in names(samples)
            # Two packets, both acknowledged 20 ms later.
            for _ in range(2):
                estimator.packet_sent(1_200)
            await trio.sleep(0.02)
            estimator.feedback_received(arrived((0, 0.01), (1, 0.01)))
            samples = scrape.samples()
    assert of(samples, "estimator_round_trip_seconds", one) == pytest.approx(0.02, abs=0.001)
    assert of(samples, "estimator_sent_packets_total", one) == 2
    assert of(samples, "estimator_sent_bytes_total", one) == 2_400
    assert of(samples, "estimator_acknowledged_packets_total", one) == 2
    assert of(samples, "estimator_lost_packets_total", one) == 0


async def test_what_was_told_lost_and_came_is_a_counter_that_does_not_fall(autojump_clock):
    scrape = Scrape()
    one = "connection=default"
    async with open_allocator() as allocator, open_connection_estimator(allocator) as estimator:
        with scrape.collector.connection(allocator, estimator):
            for _ in range(3):
                estimator.packet_sent(1_200)
            await trio.sleep(0.02)
            estimator.feedback_received(arrived((0, 0.01), (2, 0.012)))
            assert of(scrape.samples(), "estimator_lost_packets_total", one) == 1
            estimator.feedback_received(arrived((0, 0.01), (1, 0.03), (2, 0.012)))
            assert estimator.statistics().lost == 0
            assert of(scrape.samples(), "estimator_lost_packets_total", one) == 1


async def test_every_counter_is_there_with_a_text_of_its_own(autojump_clock):
    scrape = Scrape()
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        with scrape.collector.connection(allocator):
            text = scrape.text()
    families = {family.name: family for family in parse_text(text)}
    for attribute in fields(AllocatorStatistics):
        family = families["trio_allocator_" + attribute.name]
        assert family.type == "counter"
        assert len(family.documentation.split()) > 2, family
    assert len({family.documentation for family in families.values()}) == len(families)


# The rules of `promtool check metrics`, which is no Python: https://prometheus.io/docs/practices/naming/


async def test_names_keep_the_conventions(autojump_clock):
    scrape = Scrape()
    async with open_allocator() as allocator, open_connection_estimator(allocator) as estimator:
        with scrape.collector.connection(allocator, estimator):
            text = scrape.text()
    for family in parse_text(text):
        assert re.fullmatch(r"trio_allocator(_[a-z0-9]+)+", family.name)
        assert family.documentation
        assert not re.search(r"_(bits?|bps|kbps|ms|milliseconds|percent)(_|$)", family.name)
        assert not re.search(r"_(total|count|sum|bucket|info|gauge|counter)$", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert sample.labels.keys() <= {"connection", "track", "blocker", "limit"}


async def test_tracks_of_one_name_are_one_series(autojump_clock):
    scrape = Scrape()
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        for _ in range(2):
            allocator.register_track_receiver(VOICE, 40_000)
        with scrape.collector.connection(allocator):
            samples = scrape.samples()
    track = ("connection=default", "track=voice")
    assert of(samples, "track_allocation_bytes_per_second", *track) == 10_000
    assert of(samples, "track_blocked", "blocker=sender", *track) == 2


async def test_connections_of_one_name_are_added_up(autojump_clock):
    scrape = Scrape()
    async with (
        open_allocator(initial_estimate=800_000) as one,
        open_allocator(initial_estimate=1_600_000) as two,
        open_allocator() as three,
    ):
        with (
            scrape.collector.connection(one),
            scrape.collector.connection(two),
            scrape.collector.connection(three),
        ):
            samples = scrape.samples()
    assert of(samples, "connections", "connection=default") == 3
    assert of(samples, "connections_without_estimate", "connection=default") == 1
    assert of(samples, "estimate_bytes_per_second", "connection=default") == 300_000


async def test_no_counter_falls_when_a_connection_ends(autojump_clock):
    scrape = Scrape()
    async with open_allocator() as one, open_allocator() as two:
        with scrape.collector.connection(two):
            with scrape.collector.connection(one):
                one.update_bandwidth_estimation(1_000_000)
                two.update_bandwidth_estimation(1_000_000)
                before = scrape.samples()
            assert of(before, "estimates_total", "connection=default") == 2
            assert of(scrape.samples(), "estimates_total", "connection=default") == 2
        after = scrape.samples()
    assert of(after, "estimates_total", "connection=default") == 2
    assert of(after, "connections", "connection=default") == 0
    assert "trio_allocator_receivers" not in names(after)


async def test_an_allocator_that_ended_keeps_its_counters(autojump_clock):
    scrape = Scrape()
    async with open_allocator() as allocator:
        allocator.update_bandwidth_estimation(1_000_000)
        with scrape.collector.connection(allocator):
            await allocator.destroy()
            samples = scrape.samples()
    assert of(samples, "estimates_total", "connection=default") == 1
    assert "trio_allocator_connections" not in names(samples)


@pytest.mark.parametrize("most", [0, 1, 3])
async def test_no_more_tracks_are_shown_than_were_asked_for(autojump_clock, most):
    scrape = Scrape(max_tracks=most)
    async with open_allocator(initial_estimate=10_000_000) as allocator:
        for number in range(5):
            allocator.register_track_receiver(Track(f"t{number}"), 8_000)
        with scrape.collector.connection(allocator):
            samples = scrape.samples()
    shown = {
        labels[1]: value
        for (name, *labels), value in samples.items()
        if name == "trio_allocator_track_allocation_bytes_per_second"
    }
    expected = {f"track=t{number}": 1_000 for number in range(most)}
    if most:
        expected["track=other"] = (5 - most) * 1_000
    assert shown == expected
    assert of(samples, "committed_bytes_per_second", "connection=default") == 5_000


async def test_a_thousand_names_are_bounded_and_none_of_their_work_is_lost(autojump_clock):
    scrape = Scrape(max_names=3)
    async with open_allocator() as live:
        with (
            scrape.collector.connection(live, name="a"),
            scrape.collector.connection(live, name="b"),
            scrape.collector.connection(live, name="c"),
        ):
            for number in range(1_000):
                with scrape.collector.connection(live, name=f"visitor {number}"):
                    pass
            live.update_bandwidth_estimation(1)
            samples = scrape.samples()
    shown = {name for metric, name, *_ in samples if metric == "trio_allocator_connections"}
    assert shown == {"connection=a", "connection=b", "connection=c", "connection=other"}


async def test_the_longest_ended_gives_way_to_a_new_name(autojump_clock):
    scrape = Scrape(max_names=2)
    async with open_allocator() as allocator:
        for name in ("a", "b", "a", "c"):
            with scrape.collector.connection(allocator, name=name):
                allocator.update_bandwidth_estimation(1)
        samples = scrape.samples()
    counted = {name: n for (metric, name, *_), n in samples.items() if "estimates_total" in metric}
    assert counted == {"connection=a": 4, "connection=c": 4}


async def test_a_name_may_be_anything_that_is_text(autojump_clock):
    scrape = Scrape()
    name = 'b"o\\b\n×'
    async with open_allocator() as allocator:
        with scrape.collector.connection(allocator, name=name):
            assert of(scrape.samples(), "connections", f"connection={name}") == 1


def test_a_thread_may_scrape_while_trio_runs_and_after_it(monkeypatch):
    scrape = Scrape()
    found = []
    askers = []
    explain = ProbingAllocator.explain

    def noted(allocator):
        askers.append(threading.get_ident())
        return explain(allocator)

    monkeypatch.setattr(ProbingAllocator, "explain", noted)

    def in_thread():
        assert threading.get_ident() != mine
        found.append(of(scrape.samples(), "estimates_total", "connection=default"))

    async def main():
        async with open_allocator() as allocator:
            with scrape.collector.connection(allocator):
                allocator.update_bandwidth_estimation(1_000_000)
                await trio.to_thread.run_sync(in_thread)
                # A thread that Trio knows nothing of, as prometheus_client's own server has.
                done = trio.Event()
                token = trio.lowlevel.current_trio_token()

                def stranger():
                    in_thread()
                    token.run_sync_soon(done.set)

                threading.Thread(target=stranger).start()
                await done.wait()

    mine = threading.get_ident()
    trio.run(main)
    # Only the Trio thread asked the allocator: nothing changes while it is read.
    assert set(askers) == {mine}
    after = threading.Thread(target=in_thread)
    after.start()
    after.join()
    assert found == [1, 1, 1]


async def test_registering_twice_is_noticed_by_the_registry(autojump_clock):
    scrape = Scrape()
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        scrape.registry.register(MetricsCollector())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"max_names": 0}, ValueError),
        ({"max_names": 1.5}, TypeError),
        ({"max_tracks": -1}, ValueError),
        ({"max_tracks": True}, TypeError),
    ],
)
def test_limits_are_checked(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        MetricsCollector(**arguments)


async def test_a_connection_is_checked(autojump_clock):
    collector = MetricsCollector()
    async with open_allocator() as allocator:
        with pytest.raises(TypeError, match="name"):
            collector.connection(allocator, name=3)


def test_another_run_is_refused_while_one_is_shown():
    collector = MetricsCollector()

    async def enter():
        async with open_allocator() as allocator:
            shown = collector.connection(allocator)
            shown.__enter__()
            return shown

    run = partial(trio.run, clock=MockClock(autojump_threshold=0))
    first = run(enter)
    with pytest.raises(RuntimeError, match="one Trio run"):
        run(enter)
    first.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match="must be called from async context"):
        collector.connection(None).__enter__()


async def test_the_switches_of_receivers_are_counted_and_stay_counted(autojump_clock):
    scrape = Scrape()
    one = "connection=default"
    async with open_allocator(initial_estimate=1_000_000) as allocator:
        with scrape.collector.connection(allocator) as shown:
            for _ in range(3):
                async with trio.open_nursery() as nursery:
                    receiver = TrackReceiver(allocator, CAMERA, request_variant=lambda *_: None)
                    shown.add(receiver)
                    await nursery.start(receiver.run)
                    receiver.variant_switched(receiver.queued_variant)
                    receiver.variant_switched(receiver.current_variant)
                    before = scrape.samples()
                    nursery.cancel_scope.cancel()
            assert of(before, "switches_total", one) == 3
            assert of(scrape.samples(), "switches_total", one) == 3
            shown.add(TrackReceiver(allocator, CAMERA, request_variant=lambda *_: None))
            assert len(shown.receivers) == 1
