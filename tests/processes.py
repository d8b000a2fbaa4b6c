"""Processes that a program starts: that they are there, and that none is left. Linux only."""

import subprocess
import sys
import time
from pathlib import Path


def children_of(pid):
    # Each belongs to the thread that started it.
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for file in files for child in file.read_text().split()]


def wait_until(look, seconds):
    """Look until something is there, which is soon, and return it."""
    patience = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < patience
        time.sleep(0.02)
    return seen


def started(*command, children, seconds, **how):
    """Run a module of ours until it has so many children; return the process, and who they are."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how
    )

    def all_of_them():
        found = children_of(process.pid)
        return found if len(found) >= children else None

    return process, wait_until(all_of_them, seconds)


def is_any_left(children):
    return any(Path(f"/proc/{child}").exists() for child in children)
