"""Where a run stands: the session writes it, and what shows it reads it."""

from __future__ import annotations

from attrs import define, field

from .quality import Change, History
from .recording import Recording, Row


@define
class RunState:
    """A run under way.

    Attributes:
        recording: What is fed.
        time: Seconds since the first row.
        rows_fed: How many rows have been fed.
        allocations: For each source what its receiver holds, bit/s.
        choices: For each source the layer its receiver has selected, or None.
        start: The choices when the first row had been settled; None until then.
        changes: Changes of choice since.
        padding: Bytes of padding asked for so far.
    """

    recording: Recording
    time: float = 0.0
    rows_fed: int = 0
    allocations: list[int] = field(factory=list)
    choices: list[int | None] = field(factory=list)
    start: tuple[int | None, ...] | None = None
    changes: list[Change] = field(factory=list)
    padding: int = 0

    def __attrs_post_init__(self) -> None:
        self.allocations = [0] * len(self.recording.sources)
        self.choices = [0 if source.is_fixed else None for source in self.recording.sources]

    @property
    def started(self) -> bool:
        """The first row has been settled."""
        return self.start is not None

    @property
    def row(self) -> Row:
        """The row in force."""
        return self.recording.rows[max(self.rows_fed - 1, 0)]

    @property
    def estimate(self) -> int:
        """The estimate in force, bit/s; 0 before the first."""
        return self.row.estimate if self.rows_fed else 0

    def weights(self) -> list[int]:
        """What each source sends just now, bit/s."""
        return [
            0 if choice is None else rates[choice]
            for rates, choice in zip(self.row.rates, self.choices, strict=True)
        ]

    def weight(self, source: int) -> int:
        """What a source sends just now, bit/s."""
        choice = self.choices[source]
        return 0 if choice is None else self.row.rates[source][choice]

    def choose(self, source: int, layer: int | None) -> None:
        """Note what a receiver has selected; a change is remembered once the run has started."""
        before = self.choices[source]
        if before == layer:
            return
        self.choices[source] = layer
        if self.started:
            self.changes.append(Change(self.time, source, before, layer))

    def settle(self) -> None:
        """The first row has been settled: what stands now is the start."""
        self.start = tuple(self.choices)

    def history(self) -> History:
        """What was chosen over time, as far as the run has come."""
        return History(self.start or tuple(self.choices), tuple(self.changes))
