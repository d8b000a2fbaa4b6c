"""The suite: what is run to tell how well policies allocate, and the bars that should hold.

Four chapters, all with real media and the package's own estimator:

* **steady**: links that never change, with nobody who comes or goes. Whatever changes there, the
  allocator changes by itself.
* **changing**: recorded and made-up capacities, while sources go off, and participants come, leave,
  pin and mute.
* **impaired**: a steady link with one impairment at a time.
* **crowd**: many receivers on one link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import evolve, frozen

from ..network.impairments import IMPAIRMENTS
from .judging import percentile
from .simulation.job import Job, figures_of
from .simulation.trace import Trace, constant_trace as made_constant, shipped_traces

CHAPTERS = ("steady", "changing", "impaired", "crowd")

FIRST_PICTURE = 3.0
"""Of a link on which a camera has room for its top, Mbit/s."""


@frozen
class Case:
    """One run of the suite.

    Attributes:
        chapter: One of `CHAPTERS`.
        job: The run.
    """

    chapter: str
    job: Job

    @property
    def condition(self) -> str:
        """What it is of, whatever policy and seed."""
        job = self.job
        how = f", {job.impairments}" if job.impairments else ""
        return f"{job.trace.name}{how}, N = {job.receivers}"


@frozen
class Scored:
    """A run that was made, as plain data.

    Attributes:
        chapter: See `Case`.
        condition: See `Case`.
        trace: Its name.
        receivers: How many pictures.
        impairments: Their names.
        policy: Its name.
        seed: Of all that is random.
        figures: As of `figures_of`.
    """

    chapter: str
    condition: str
    trace: str
    receivers: int
    impairments: str
    policy: str
    seed: int
    figures: Mapping[str, float | int | None]


@frozen
class Extent:
    """How much is run.

    Attributes:
        name: ``quick`` or ``full``.
        rates: Of the steady links, Mbit/s.
        receivers: How many share a steady or a changing link.
        impaired: Of the impaired links, Mbit/s.
        crowd: How many share a link in a crowd.
        length: Of a run on a link that we make up, s.
        longest: To which a trace is cut, s.
        seeds: For each condition.
    """

    name: str
    rates: tuple[float, ...]
    receivers: tuple[int, ...]
    impaired: tuple[float, ...]
    crowd: tuple[int, ...]
    length: float
    longest: float
    seeds: tuple[int, ...]


QUICK = Extent(
    "quick",
    rates=(0.8, 1.2, 1.5, 2.0, 4.0),
    receivers=(1, 3),
    impaired=(3.0,),
    crowd=(10,),
    length=90.0,
    longest=150.0,
    seeds=(1, 2, 3),
)
FULL = Extent(
    "full",
    rates=(0.5, 0.8, 1.0, 1.2, 1.5, 1.75, 2.0, 3.0, 4.0, 6.0),
    receivers=(1, 3, 10),
    impaired=(0.8, 3.0, 8.0),
    crowd=(10, 30),
    length=120.0,
    longest=600.0,
    seeds=(1, 2, 3, 4, 5),
)


def constant_trace(rate: float, length: float) -> Trace:
    """A link that never changes.

    Args:
        rate: Mbit/s.
        length: s.
    """
    return evolve(made_constant(1e6 * rate, length), name=f"{rate:g} Mbit/s")


def cut(trace: Trace, longest: float) -> Trace:
    """The beginning of a trace, if it lasts too long, s."""
    steps = round(longest * trace.steps / trace.duration)
    return trace if trace.steps <= steps else evolve(trace, capacity=trace.capacity[:steps])


def plan(
    extent: Extent,
    policies: Sequence[str],
    *,
    traces: Sequence[Trace] = (),
    chapters: Iterable[str] = CHAPTERS,
    seeds: Sequence[int] = (),
    settings: Mapping[str, object] | None = None,
) -> list[Case]:
    """All runs of a suite, those that take longest first.

    Args:
        extent: How much.
        policies: Their names.
        traces: Besides those that ship.
        chapters: Which of them.
        seeds: In place of those of the extent.
        settings: Of the allocator, by name.
    """
    cases: list[Case] = []
    wanted = set(chapters)

    def add(chapter: str, trace: Trace, receivers: int, impairments: str = "") -> None:
        if chapter not in wanted:
            return
        for policy in policies:
            for seed in seeds or extent.seeds:
                job = Job(
                    trace,
                    receivers,
                    policy,
                    "real",
                    seed,
                    settings=settings,
                    media="real",
                    impairments=impairments,
                    acts=chapter in {"changing", "crowd"},
                )
                cases.append(Case(chapter, job))

    for rate in extent.rates:
        for receivers in extent.receivers[:2]:
            add("steady", constant_trace(rate, extent.length), receivers)
    moving = [cut(trace, extent.longest) for trace in [*shipped_traces(), *traces]]
    for trace in moving:
        for receivers in extent.receivers:
            add("changing", trace, receivers)
    for rate in extent.impaired:
        for name in ("", *IMPAIRMENTS):
            add("impaired", constant_trace(rate, extent.length), 3, name)
    for receivers in extent.crowd:
        for trace in (*moving[:1], constant_trace(4.0, extent.length)):
            add("crowd", trace, receivers)
    return sorted(cases, key=lambda case: -case.job.trace.duration * (2 + case.job.receivers))


def score(case: Case) -> Scored:
    """Make a run of the suite; it can be done anywhere."""
    job = case.job
    return Scored(
        case.chapter,
        case.condition,
        job.trace.name,
        job.receivers,
        job.impairments,
        job.policy,
        job.seed,
        figures_of(job),
    )


# --- bars ----------------------------------------------------------------------------------------


@frozen
class Bar:
    """What should hold.

    Attributes:
        name: What it is about.
        why: What a viewer minds about it.
        chapter: Of which runs.
        impairments: Only of those with this one; None for all of the chapter.
        figure: Which figure.
        most: It should not be above this in the worst condition; None where it should be at least.
        least: It should not be below this in the worst condition.
        unit: Of the figure, for people.
    """

    name: str
    why: str
    chapter: str
    figure: str
    most: float | None = None
    least: float | None = None
    impairments: str | None = None
    unit: str = ""

    def concerns(self, one: Scored) -> bool:
        """Whether a run is one of those that it is about."""
        return one.chapter == self.chapter and self.impairments in {None, one.impairments}

    def holds(self, value: float) -> bool:
        """Whether a value is good enough."""
        if self.most is not None:
            return value <= self.most
        return value >= (self.least or 0.0)


BARS = (
    Bar(
        "a constant link is calm",
        "a picture that changes where nothing else does",
        "steady",
        "switches",
        most=1.0,
        unit="/min",
    ),
    Bar(
        "nothing is taken back on a constant link",
        "a picture that is better for a moment",
        "steady",
        "taken_back",
        most=0.0,
        unit="/min",
    ),
    Bar(
        "padding ends where the next step is out of reach",
        "the user's volume, and others' bandwidth",
        "steady",
        "padding_p50",
        most=0.1,
        unit="of what is sent",
    ),
    Bar(
        "a longer way costs little",
        "a blurred picture on a link that carries as much as before",
        "impaired",
        "used",
        least=0.7,
        impairments="longer-way",
    ),
    Bar(
        "a pause of the link costs little",
        "a blurred picture after each scan of the radio",
        "impaired",
        "used",
        least=0.7,
        impairments="pauses",
    ),
    Bar(
        "batched arrivals fill no queue",
        "what is said comes late",
        "impaired",
        "delay_p95",
        most=0.2,
        impairments="batches",
        unit="s",
    ),
    Bar(
        "batched arrivals lose nothing",
        "pictures that break",
        "impaired",
        "loss",
        most=0.001,
        impairments="batches",
    ),
    Bar(
        "lost feedback costs little",
        "a blurred picture",
        "impaired",
        "used",
        least=0.7,
        impairments="lost-feedback",
    ),
    Bar(
        "overtaking packets cost little",
        "a blurred picture",
        "impaired",
        "used",
        least=0.6,
        impairments="overtaking",
    ),
    Bar(
        "who joins soon sees well",
        "the blurred first seconds of a call",
        "changing",
        "join_p95",
        most=8.0,
        unit="s",
    ),
    Bar(
        "what fits is given",
        "a blurred picture beside room for a better one",
        "changing",
        "withheld_p95",
        most=2.5,
        unit="s",
    ),
)
"""What should hold for every policy. A bar is judged by the worst condition, each the mean of its
seeds."""


@frozen
class Verdict:
    """A bar, and how a policy stands to it.

    Attributes:
        bar: Which.
        policy: Whose.
        value: Of the worst condition; None where there is no such run.
        condition: The worst one.
        typical: The median condition.
    """

    bar: Bar
    policy: str
    value: float | None
    condition: str
    typical: float | None

    @property
    def holds(self) -> bool | None:
        """Whether it does; None where there is nothing to tell."""
        return None if self.value is None else self.bar.holds(self.value)


def judge(results: Sequence[Scored], bars: Sequence[Bar] = BARS) -> list[Verdict]:
    """How each policy stands to each bar."""
    verdicts = []
    for bar in bars:
        for policy in dict.fromkeys(one.policy for one in results):
            own = [one for one in results if one.policy == policy and bar.concerns(one)]
            means = means_by(own, lambda one: one.condition, bar.figure)
            if not means:
                verdicts.append(Verdict(bar, policy, None, "", None))
                continue
            pick = max if bar.most is not None else min
            worst = pick(means, key=lambda condition: means[condition])
            typical = percentile(list(means.values()), 0.5)
            verdicts.append(Verdict(bar, policy, means[worst], worst, typical))
    return verdicts


def means_by(
    results: Iterable[Scored], key: Callable[[Scored], str], figure: str
) -> dict[str, float]:
    """The mean of a figure over the runs of the same key, where there is any."""
    groups: dict[str, list[float]] = {}
    for one in results:
        value = one.figures[figure]
        if value is not None:
            groups.setdefault(key(one), []).append(float(value))
    return {name: sum(values) / len(values) for name, values in groups.items()}
