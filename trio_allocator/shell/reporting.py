"""What an operator should hear of, in the log named ``trio_allocator``."""

from __future__ import annotations

import logging

from ..engine.engine import Engine

_log = logging.getLogger("trio_allocator")


class Reporter:
    """Logs each thing once.

    Args:
        engine: What it looks at.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._breaches = 0
        self._fault: Exception | None = None

    def report(self) -> None:
        """Log what is new."""
        engine = self._engine
        if engine.breaches > self._breaches:
            _log.warning("%d promised decrease(s) did not come", engine.breaches - self._breaches)
            self._breaches = engine.breaches
        fault = engine.settlement.policy_fault
        if fault is not self._fault:
            self._fault = fault
            _log.error("%s; the built-in sharing has taken over", fault, exc_info=fault)
