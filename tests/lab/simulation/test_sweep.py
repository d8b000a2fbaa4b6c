"""Many runs at once: the same figures in any number of processes, and none that is left behind."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab.simulation.worlds import steady, steps
from trio_allocator.lab.simulation.job import Job, figures_of
from trio_allocator.lab.simulation.sweep import Outcome, means, sweep
from trio_allocator.lab.workers import cores, local_workers

TRACES = (steady(3e6, 25), steps((15, 5e6), (10, 1e6)))
JOBS = [
    Job(trace, count, policy, "ideal", seed)
    for trace in TRACES
    for count in (1, 2)
    for policy in ("fair", "reference")
    for seed in (1, 2)
]


def by_name(outcomes):
    return sorted(outcomes, key=lambda o: (o.trace, o.receivers, o.policy, o.seed))


def test_it_makes_every_run_whatever_the_number_of_processes():
    alone = by_name(sweep(JOBS))
    assert len(alone) == len(JOBS)
    with local_workers(2) as pool:
        assert by_name(sweep(JOBS, pool)) == alone
    found = next(o for o in alone if (o.trace, o.receivers, o.seed) == ("steps", 2, 2))
    assert found.policy == "fair"
    assert found.figures == figures_of(Job(TRACES[1], 2, "fair", "ideal", 2))


def test_each_run_is_handed_out_by_itself():
    """So progress moves with every run, and no process waits while another has several to make."""
    seen = []

    class Counting(ThreadPoolExecutor):
        handed_out = 0

        def submit(self, function, /, *arguments, **options):
            self.handed_out += 1
            return super().submit(function, *arguments, **options)

    with Counting(1) as executor:
        seen += sweep(JOBS[:4], executor)
    assert executor.handed_out == len(seen) == 4


def test_settings_and_a_policy_of_ones_own_come_along():
    job = Job(TRACES[1], 2, "mine", "gcc", 1, choice="fair", settings={"hold": 0.5})
    (outcome,) = sweep([job])
    assert outcome.policy == "mine"
    assert outcome.figures == figures_of(
        Job(TRACES[1], 2, "fair", "gcc", 1, settings={"hold": 0.5})
    )


def test_no_jobs_no_outcomes():
    assert list(sweep([])) == []


def test_whoever_is_interrupted_ends_the_workers_at_once():
    began = math.inf
    with pytest.raises(KeyboardInterrupt), local_workers(2) as pool:
        runs = sweep([Job(steady(9e6, 3000), 30, "fair", "ideal", 1), *JOBS], pool)
        next(runs)
        assert multiprocessing.active_children()
        began = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - began < 10
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_workers_do_not_outlive_a_parent_that_is_killed():
    program = (
        "import multiprocessing, time\n"
        "from tests.lab.simulation.test_sweep import JOBS, local_workers, sweep\n"
        "if __name__ == '__main__':\n"
        "    with local_workers(2) as pool:\n"
        "        runs = sweep(JOBS, pool)\n"
        "        next(runs)\n"
        "        print(*(c.pid for c in multiprocessing.active_children()), flush=True)\n"
        "        time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while any(map(is_running, workers)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.communicate()


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_ratio_is_the_mean_of_ratios_but_for_qoe_and_what_is_not_there_is_left_out():
    figures = figures_of(Job(TRACES[0], 1, "reference", "ideal", 1))
    one = {**figures, "utility_ratio": 0.5, "qoe": 1.0, "oracle_qoe": 2.0, "recovery": None}
    other = {**figures, "utility_ratio": 0.7, "qoe": 0.0, "oracle_qoe": 0.5, "recovery": 3.0}
    third = {**one, "oracle_qoe": 0.0}
    rows = means(
        [
            Outcome("a", 1, "x", "ideal", 1, one),
            Outcome("b", 1, "x", "ideal", 1, other),
            Outcome("b", 2, "x", "ideal", 1, third),
        ],
        lambda outcome: outcome.receivers,
    )
    assert rows[1]["utility_ratio"] == pytest.approx(0.6)
    assert rows[1]["qoe_ratio"] == pytest.approx(0.4)
    assert rows[1]["recovery"] == 3.0
    assert rows[2]["recovery"] is None
    assert rows[2]["qoe_ratio"] is None


def test_processes_are_as_many_as_cores_that_may_be_used(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7


def test_where_signals_cannot_be_withheld_it_goes_without(monkeypatch):
    monkeypatch.delattr(signal, "pthread_sigmask")
    with local_workers(2) as pool:
        assert len(list(sweep(JOBS[:8], pool))) == 8
