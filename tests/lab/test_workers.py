"""The same runs, whoever makes them: this process, others, or a cluster that loses a worker."""

import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from trio_allocator.lab import workers
from trio_allocator.lab.replay.recording import RecordingError
from trio_allocator.lab.simulation.job import Job
from trio_allocator.lab.suite import Case, constant_trace, score
from trio_allocator.lab.workers import cluster, code_version, each_done, local_workers


def cases(count, length=24.0):
    trace = constant_trace(1.5, length)
    return [
        Case("steady", Job(trace, 1, "layered", "real", seed, media="real", acts=False))
        for seed in range(count)
    ]


def made(executor, wanted):
    return dict(each_done(score, wanted, executor))


@pytest.fixture(scope="module")
def here():
    return made(None, cases(6))


def test_in_processes_of_its_own_it_is_the_same(here):
    with local_workers(2) as executor:
        assert made(executor, cases(6)) == here


def test_one_worker_is_this_process():
    with local_workers(1) as executor:
        assert executor is None


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed")
    # Two threads each, to see that they do not get into each other's way.
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=None, silence_logs=50
    ) as found:
        yield found


pytestmark = pytest.mark.filterwarnings("default")  # Dask's own are not ours to mend


def test_on_a_cluster_it_is_the_same(dask, here):
    with cluster(dask.scheduler_address) as executor:
        assert made(executor, cases(6)) == here


def test_a_worker_that_is_killed_costs_nothing_but_time(dask, here):
    with cluster(dask.scheduler_address) as executor:
        runs = each_done(score, cases(6), executor)
        done = dict([next(runs)])
        victim = next(iter(dask.workers.values()))
        os.kill(victim.process.pid, signal.SIGKILL)
        done.update(runs)
    assert done == here


def test_other_code_is_refused(dask, monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.99.1")
    with (
        pytest.raises(RecordingError, match=r"has Python 3\.\d+\.\d+, and here it is 3\.99\.1: in"),
        cluster(dask.scheduler_address),
    ):
        pytest.fail("it was taken")


def test_a_cluster_that_is_not_there(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "_PATIENCE", 0.3)
    with (
        pytest.raises(RecordingError, match=r"--scheduler tcp://127.0.0.1:9: no cluster answers"),
        cluster("tcp://127.0.0.1:9"),
    ):
        pytest.fail("it was taken")


def test_a_cluster_without_workers_is_refused():
    with pytest.raises(RecordingError, match="there are no workers: start some"):
        workers._check_workers("tcp://there", {})


def test_without_dask_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(RecordingError, match=r"pip install 'trio-allocator\[sweep\]'"),
        cluster("tcp://127.0.0.1:9"),
    ):
        pytest.fail("it was taken")


def test_the_version_tells_of_every_change(monkeypatch, tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    monkeypatch.setattr(workers, "_PACKAGE", tmp_path)
    before = code_version()
    assert code_version() == before
    (tmp_path / "a.py").write_text("x = 2")
    assert code_version() != before


def test_ctrl_c_while_runs_wait_ends_all_of_them(monkeypatch):
    class Pool(ProcessPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            # The processes have ended, and here the pool's own thread always sees it first.
            manager: Any = self._executor_manager_thread
            manager.join()
            super().shutdown(wait, cancel_futures=cancel_futures)

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    with pytest.raises(KeyboardInterrupt), local_workers(2) as pool:
        for _run in each_done(abs, range(500), pool):
            raise KeyboardInterrupt


def test_what_is_not_wanted_any_more_is_not_run(monkeypatch):
    futures = []

    class Pool(ProcessPoolExecutor):
        def submit(self, function, /, *arguments, **options):
            futures.append(super().submit(function, *arguments, **options))
            return futures[-1]

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    with local_workers(2) as pool:
        next(each_done(time.sleep, [0.1] * 1000, pool))
    assert futures[-1].cancelled()


def test_threads_of_one_process_take_turns():
    inside, most = [], []

    def run(_item):
        inside.append(1)
        most.append(len(inside))
        inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: workers._alone(run, item), range(200)))
    assert max(most) == 1


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="has no masks of signals")
def test_an_interrupt_waits_until_all_workers_have_begun():
    """Whoever gets the signal: another thread may, and interrupts this one all the same."""
    seen = []

    def interrupted():
        with workers._interrupts_withheld():
            signal.raise_signal(signal.SIGINT)
            other = threading.Thread(target=signal.raise_signal, args=[signal.SIGINT])
            other.start()
            other.join()
            seen.append("all have begun")
        seen.append("not reached")

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["all have begun"]
