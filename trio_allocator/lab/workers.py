"""Who makes the runs: this process, processes on its cores, or a cluster of machines.

Whatever makes many runs takes a `concurrent.futures.Executor`, or None for this process. Runs are
functions of what they are given, so it makes no difference to their results who makes them.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from .replay.recording import RecordingError

T = TypeVar("T")
R = TypeVar("R")

_PACKAGE = Path(__file__).parents[1]
_PATIENCE = 10.0
"""How long to wait for a cluster to answer, s."""


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def local_workers(count: int | None = None) -> Iterator[Executor | None]:
    """Processes on the cores there are.

    They never see Ctrl-C, and end at once with the block, or with this process, however that ends.
    SIGTERM ends the block by a `SystemExit`, unless it is handled already.

    Args:
        count: How many; None for one on each core. For one alone this process does the work.

    Yields:
        What runs in them; None for this process.
    """
    wanted = count or cores()
    if wanted == 1:
        yield None
        return
    strangers = multiprocessing.active_children()
    # Fresh processes: to fork a program with threads of its own (a progress bar) may hang.
    pool = ProcessPoolExecutor(
        wanted, multiprocessing.get_context("spawn"), initializer=_follow_the_parent
    )
    try:
        with _sigterm_raised():
            yield pool
    except BaseException:
        for child in multiprocessing.active_children():
            if child not in strangers:
                child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _sigterm_raised() -> Iterator[None]:
    """Let SIGTERM raise: a process that it ends at once leaves a pool's semaphores to be cleaned up.

    Python's own helper for that would complain.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, _exit_by_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit_by_signal(number: int, _frame: FrameType | None) -> None:
    # Once is enough: what it ends must not be disturbed by the next.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def each_done(
    function: Callable[[T], R], items: Sequence[T], executor: Executor | None
) -> Generator[tuple[int, R], None, None]:
    """Call a function with each item; results come as they are there, in any order.

    Whoever closes the executor ends what is not wanted any more. It is not cancelled here: a pool
    of processes that are being ended hangs at what somebody else has cancelled (CPython 3.11 fails
    in `ProcessPoolExecutor` with an `InvalidStateError`).

    Args:
        function: Picklable, as its results are, unless this process calls it.
        items: In the order in which they are begun.
        executor: Who calls it; None for this process.

    Yields:
        The index of an item, and what the function made of it.
    """
    if executor is None:
        for index, item in enumerate(items):
            yield index, function(item)
        return
    turns: dict[Future[R], int] = {}
    with _interrupts_withheld():
        for index, item in enumerate(items):
            turns[executor.submit(_alone, function, item)] = index
    for future in as_completed(turns):
        yield turns[future], future.result()


_ALONE = threading.Lock()


def _alone(function: Callable[[T], R], item: T) -> R:
    """One run at a time in a process: a simulation seeds Trio's scheduler, which there is once.

    Workers of a cluster may have several threads.
    """
    with _ALONE:
        return function(item)


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The workers of a Dask cluster.

    A worker that is lost costs time and nothing else: what it was at is done by another.

    Args:
        address: Of its scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises:
        RecordingError: Dask is not installed, there is no such scheduler, it has no workers, or
            one of them runs other code than we do: its results would be others.
    """
    try:
        from distributed import Client  # noqa: PLC0415  # an extra, and slow to load
    except ModuleNotFoundError as error:
        raise RecordingError(
            f"--scheduler needs {error.name}: pip install 'trio-allocator[sweep]'"
        ) from None
    try:
        connect: Any = Client
        client = connect(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RecordingError(f"--scheduler {address}: no cluster answers there: {reason}") from None
    try:
        try:
            found = client.run(code_version)
        except Exception as error:  # noqa: BLE001  # whatever the worker met, it tells it in its own words
            reason = str(error).splitlines()[0]
            raise RecordingError(
                f"--scheduler {address}: a worker cannot run trio-allocator ({reason}): install "
                "the same version there"
            ) from None
        _check_workers(address, found)
        yield client.get_executor(pure=False)
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=1)


def code_version() -> tuple[tuple[str, str], ...]:
    """What results depend on besides the job: names, and the versions of what is installed here."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes())
    return (
        ("Python", platform.python_version()),
        ("trio-allocator", f"{_version('trio-allocator')} ({digest.hexdigest()[:8]})"),
        *((name, _version(name)) for name in ("numpy", "sortedcontainers", "attrs")),
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _check_workers(address: str, found: dict[str, tuple[tuple[str, str], ...]]) -> None:
    if not found:
        raise RecordingError(f"--scheduler {address}: there are no workers: start some")
    ours = code_version()
    for worker, theirs in sorted(found.items()):
        for (name, here), (_name, there) in zip(ours, theirs, strict=True):
            if here != there:
                raise RecordingError(
                    f"--scheduler {address}: the worker {worker} has {name} {there}, and here it "
                    f"is {here}: install the same, or the figures would not be comparable"
                )


@contextmanager
def _interrupts_withheld() -> Iterator[None]:
    """Let processes that start here never see Ctrl-C, and let no signal interrupt their start.

    It is for the parent to end them, and it can end only those that it has noted. To block the
    signal in this thread is not enough for that: another thread, such as one of NumPy's, may get
    it, and Python would still interrupt this one.
    """
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    if (
        not hasattr(signal, "pthread_sigmask")
        or threading.current_thread() is not threading.main_thread()
        or not handlers
    ):
        yield
        return
    noted: list[tuple[int, FrameType | None]] = []
    for number in handlers:
        signal.signal(number, lambda *what: noted.append(what))
    # They inherit what is blocked, and SIGTERM is to end them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if noted:
        handlers[signal.Signals(noted[0][0])](*noted[0])


def _follow_the_parent() -> None:
    """End when the parent has ended, however that came about: a pool's workers would wait on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=[parent.join], daemon=True).start()


def _exit_after(wait: Callable[[], object]) -> None:
    wait()
    os._exit(1)
