"""What all of them need: real time, an end to every wait, and a machine that is not too busy."""

from __future__ import annotations

import inspect
import os
import threading
import time
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path

import pytest
import trio

ATTEMPTS = 3
"""A run that was starved proves nothing, and is tried again so often."""

LONGEST = 90.0
"""A run that has not ended by then, s, never will."""

CALM, PATIENCE = 3.0, 30.0
"""Before it is tried again, threads have to get their processor for so long, s; or so long has passed."""

ALLOWED = "ACCEPTANCE_MAY_PROVE_NOTHING"
"""Set in the environment: a run in which every test was inconclusive does not fail."""

NAP, LATE, TOLERATED = 0.01, 0.05, 0.02
"""A thread that wants to sleep for `NAP` s is late by `LATE` s no more often than this share, where
there is a processor to be had. (On an idle machine: never.)"""

WAITED = 0.8
"""Threads that wait for a processor for more than this share of the time in which they could run, are
starved: of two processors that they have for themselves, ten processes of libwebrtc wait 75 %, and meet
every bar."""

LOOK = 0.5
"""How often it is looked how long they have waited, s."""


class Waits:
    """How long the threads of these processes have waited for a processor, where Linux says so."""

    def __init__(self):
        self._seen = {}
        self._before = self._now()
        self.look()

    @staticmethod
    def _now():
        """Of each thread of this process and of those that it has started: ran, and waited, ns."""
        parents = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                parents[path.parent.name] = fields[1]
        found = {str(os.getpid())}
        while more := {each for each in parents if parents[each] in found} - found:
            found |= more
        times = {}
        for process in found:
            for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
                with suppress(OSError):
                    times[path.parent.name] = [int(word) for word in path.read_text().split()[:2]]
        return times

    def look(self):
        """To be called now and then: those that have ended are counted as they were last seen."""
        self._seen |= self._now()

    @property
    def share(self):
        """Of the time in which they could run, they waited this share."""
        self.look()
        zero = 0, 0
        ran, waited = (
            sum(times[i] - self._before.get(each, zero)[i] for each, times in self._seen.items())
            for i in (0, 1)
        )
        return waited / max(ran + waited, 1)


class Machine:
    """Watches whether threads get a processor when they want one."""

    def __init__(self):
        self._naps = self._late = 0
        self._done = threading.Event()
        self._waits = Waits()

    def watch(self):
        before = looked = time.monotonic()
        while not self._done.wait(NAP):
            now = time.monotonic()
            self._naps += 1
            self._late += now - before - NAP > LATE
            if now > looked + LOOK:
                self._waits.look()
                looked = now = time.monotonic()
            before = now

    def stop(self):
        self._done.set()

    @property
    def starved(self):
        """Why what ran meanwhile is no measurement; None if it may be one."""
        share = self._late / max(self._naps, 1)
        if share > TOLERATED:
            return f"{100 * share:.0f} % of the naps of a thread were {1e3 * LATE:.0f} ms too long"
        if self._waits.share > WAITED:
            return f"threads waited {100 * self._waits.share:.0f} % of their time for a processor"
        return None


@contextmanager
def watched():
    machine = Machine()
    thread = threading.Thread(target=machine.watch, daemon=True)
    thread.start()
    try:
        yield machine
    finally:
        machine.stop()
        thread.join()


def await_calm():
    """Until others leave a processor."""
    until = time.monotonic() + PATIENCE
    starved = "yes"
    while starved and time.monotonic() < until:
        with watched() as machine:
            time.sleep(CALM)
            starved = machine.starved


def told(error):
    """The first line of each of its leaves: what is compared may be thousands of pictures."""
    if isinstance(error, ExceptionGroup):
        return ", ".join(told(each) for each in error.exceptions)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:120]}"


UNPROVED = []
"""What the tests that were inconclusive were called, and why they were: what is raised through a nursery
loses its words."""


def inconclusive(reasons):
    """Neither passed nor failed: nothing was measured."""
    why = f"inconclusive, this machine was too busy: {'; '.join(reasons)}"
    UNPROVED.append(f"{os.environ['PYTEST_CURRENT_TEST'].partition(' ')[0]}: {why}")
    pytest.skip(why)


@pytest.fixture
def unless_starved():
    """Run and judge until it was a measurement; the run returns something with `starved`.

    Nothing that fails on a starved machine is a failure, and nothing that such a run shows a success.
    """

    async def repeat(run, judge):
        reasons = []
        while len(reasons) < ATTEMPTS:
            if reasons:
                await trio.to_thread.run_sync(await_calm)
            result = None
            with watched() as machine:
                try:
                    with trio.fail_after(LONGEST):
                        result = await run()
                    judge(result)
                except Exception as error:
                    starved = machine.starved or getattr(result, "starved", None)
                    if starved is None:
                        raise
                    reasons.append(f"{starved} ({told(error)})")
                    continue
            if result.starved is None:
                return
            reasons.append(result.starved)
        inconclusive(reasons)

    return repeat


def pytest_collection_modifyitems(items):
    """Synchronous tests drive a browser: one that fails on a starved machine is tried again."""
    for item in items:
        if item.path.parent.name == "acceptance" and not inspect.iscoroutinefunction(item.obj):
            item.obj = _again_if_starved(item.obj)


def _again_if_starved(test):
    @wraps(test)
    def repeated(*args, **kwargs):
        reasons = []
        while len(reasons) < ATTEMPTS:
            if reasons:
                await_calm()
            with watched() as machine:
                try:
                    test(*args, **kwargs)
                    return
                except Exception as error:
                    if machine.starved is None:
                        raise
                    reasons.append(f"{machine.starved} ({told(error)})")
        inconclusive(reasons)

    return repeated


# --- a run that has proved nothing is no success ---------------------------------------------------


def proved_nothing(reporter):
    """Whether all of them were inconclusive."""
    stats = {} if reporter is None else reporter.stats
    conclusive = [each for key in ("passed", "failed") for each in stats.get(key, ())]
    ours = [each for each in conclusive if "acceptance/" in each.nodeid and each.when == "call"]
    return bool(UNPROVED) and not ours


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if proved_nothing(reporter) and exitstatus == 0 and ALLOWED not in os.environ:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if UNPROVED:
        terminalreporter.section(f"{len(UNPROVED)} acceptance tests proved nothing", red=True)
        for each in UNPROVED:
            terminalreporter.write_line(each)
    if proved_nothing(terminalreporter):
        line = f"None proved anything: that is no success, unless {ALLOWED} is set."
        terminalreporter.write_line(line, red=True)
