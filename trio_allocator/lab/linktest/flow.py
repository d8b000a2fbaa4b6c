"""What a run asks of any sender."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .result import FlowRecord


class Flow(ABC):
    """A sender with its receiver, and nothing between them yet."""

    @property
    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Where the receiver listens."""

    @abstractmethod
    async def connect(self, port: int) -> None:
        """Connect sender and receiver through this port of the relay; no media yet."""

    @abstractmethod
    async def set_active(self, is_active: bool) -> None:
        """Begin to send, pause, resume."""

    @abstractmethod
    async def stop(self, started: float) -> FlowRecord:
        """End it.

        Args:
            started: Time 0 of the scenario, by ``time.perf_counter()``.
        """
