"""What all of them need: real time, an end to every wait, and a machine that is not too busy."""

from __future__ import annotations

import inspect
import threading
import time
from contextlib import contextmanager
from functools import wraps

import pytest
import trio

ATTEMPTS = 3
"""A run that was starved proves nothing, and is tried again so often."""

LONGEST = 90.0
"""A run that has not ended by then, s, never will."""

NAP, LATE, TOLERATED = 0.01, 0.05, 0.02
"""A thread that wants to sleep for `NAP` s is late by `LATE` s no more often than this share, where
there is a processor to be had. (On an idle machine: never.)"""


class Machine:
    """Watches whether threads get a processor when they want one."""

    def __init__(self):
        self._naps = self._late = 0
        self._done = threading.Event()

    def watch(self):
        before = time.monotonic()
        while not self._done.wait(NAP):
            now = time.monotonic()
            self._naps += 1
            self._late += now - before - NAP > LATE
            before = now

    def stop(self):
        self._done.set()

    @property
    def starved(self):
        """Why what ran meanwhile is no measurement; None if it may be one."""
        share = self._late / max(self._naps, 1)
        if share <= TOLERATED:
            return None
        return f"{100 * share:.0f} % of the naps of a thread were {1e3 * LATE:.0f} ms too long"


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


def told(error):
    """The first line of each of its leaves: what is compared may be thousands of pictures."""
    if isinstance(error, ExceptionGroup):
        return ", ".join(told(each) for each in error.exceptions)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:120]}"


def inconclusive(reasons):
    """Neither passed nor failed: nothing was measured."""
    pytest.skip(f"inconclusive, this machine was too busy: {'; '.join(reasons)}")


@pytest.fixture
def unless_starved():
    """Run and judge until it was a measurement; the run returns something with `starved`.

    Nothing that fails on a starved machine is a failure, and nothing that such a run shows a success.
    """

    async def repeat(run, judge):
        reasons = []
        for _ in range(ATTEMPTS):
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
        for _ in range(ATTEMPTS):
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
