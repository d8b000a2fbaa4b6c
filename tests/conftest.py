"""What all tests share: how hard Hypothesis tries.

``HYPOTHESIS_PROFILE=ci python -m pytest`` chooses another profile than ``dev``.
"""

import os
import signal

from hypothesis import HealthCheck, settings

# A shell without job control starts what runs in the background deaf to Ctrl-C, and so would be
# all the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Shared machines stall now and then: a slow example is no finding, so none has a deadline.
settings.register_profile("dev", deadline=None, max_examples=30, stateful_step_count=30)
# The machines try two and a half times as many examples.
# A check of a change must judge the change, so `ci` tries the same examples each time; it is `dev`
# and `nightly` that look for something new.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=100,
    stateful_step_count=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=8000,
    stateful_step_count=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# Each mutant of `tests.mutation` is met by all of this: the same few examples for every one.
settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=15,
    stateful_step_count=20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
