"""The result of a run: a summary for people, and keys for machines."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..lab.pictures.palette import colours
from ..lab.rates import format_rate
from ..lab.replay.quality import Figures, History, SourceFigures
from ..lab.replay.recording import Recording

_BAR_WIDTH = 24
_SHORTEST_BAR = 8
_WIDTH_WITHOUT_BAR = 82
_WIDTH_BESIDE_NAMES = 39
"""Of the columns for rate, changes and reversals, and what is between them."""
_MOST_LAYER_COLUMNS = 6
_SHADES = "░▒▓█"


@frozen
class Replayed:
    """One policy's run.

    Attributes:
        policy: Its name.
        recording: What was fed, as far as the run came.
        history: What was chosen.
        figures: How well.
        padding: Bytes of padding that were asked for.
    """

    policy: str
    recording: Recording
    history: History
    figures: Figures
    padding: int


def as_json(results: Sequence[Replayed]) -> dict[str, object]:
    """The documented keys of ``--json``; `trio_allocator.lab.replay.quality` defines the figures.

    Of several policies it is an object with the one key ``policies``: a list of these.

    ========================  ==================================================================
    ``policy``                how it was shared
    ``recording``             the file's name
    ``duration_s``            from the first row to the last, s
    ``estimates``             how many rows there were
    ``changes``               changes of layer, counted per source
    ``decisions``             moments at which at least one source changed
    ``reversals``             changes that a source turned back within 10 s
    ``share_over_estimate``   share of time in which the chosen layers weighed more (0 to 1)
    ``utilisation``           used share of what could have been used (0 to 1)
    ``quality``               utility over that of the best choice at each event
    ``taken_back``            changes that a source undid within 1 s
    ``withheld``              share of time in which a layer fit with a fifth to spare, and was
                              not chosen
    ``withheld_p50``          for how long each time, s: the median
    ``withheld_p95``          and the 95th percentile
    ``wait_p50``              from the start and from rises of the estimate to 0.9 of the best, s
    ``wait_p95``              and the 95th percentile
    ``utility``               the rule for what a layer is worth: ``frames`` or ``log``
    ``padding_bytes``         padding that the allocator asked for
    ``tracks``                for each source, by name: ``changes``, ``reversals``, ``fixed``,
                              ``mean_bps``, ``utility``, and ``layers``: share of time in each
    ========================  ==================================================================
    """
    if len(results) > 1:
        return {"policies": [_as_json(result) for result in results]}
    return _as_json(results[0])


def _as_json(result: Replayed) -> dict[str, object]:
    return {
        "policy": result.policy,
        "recording": result.recording.name,
        "duration_s": round(result.figures.duration, 6),
        "estimates": len(result.recording.rows),
        "changes": result.figures.changes,
        "decisions": result.figures.decisions,
        "reversals": result.figures.reversals,
        "share_over_estimate": round(result.figures.share_over_estimate, 6),
        "utilisation": round(result.figures.utilisation, 6),
        "quality": round(result.figures.quality, 6),
        "taken_back": result.figures.taken_back,
        "withheld": round(result.figures.withheld, 6),
        **{
            name: None if value is None else round(value, 6)
            for name, value in result.figures.spreads.items()
        },
        "utility": result.figures.rule.value,
        "padding_bytes": result.padding,
        "tracks": {
            part.source.name: {
                "fixed": part.source.is_fixed,
                "changes": part.changes,
                "reversals": part.reversals,
                "mean_bps": round(part.mean_rate),
                "utility": round(part.utility, 6),
                "layers": {
                    layer: round(share, 6)
                    for layer, share in zip(part.source.layers, part.shares, strict=True)
                },
            }
            for part in result.figures.sources
        },
    }


def print_summaries(console: Console, results: Sequence[Replayed]) -> None:
    """Print who got what, and how well it was divided; of several policies, how they compare."""
    for result in results:
        if len(results) > 1:
            console.print(Text(f" {result.policy}", style="bold"))
        print_summary(console, result.recording, result.figures, result.padding)
        if len(results) > 1:
            console.print()
    if len(results) > 1:
        console.print(_side_by_side(results))


def print_summary(console: Console, recording: Recording, figures: Figures, padding: int) -> None:
    """Print who got what, and how well it was divided."""
    console.print(
        Group(
            _heading(recording, figures),
            Text(),
            _who_got_what(recording, figures, console.width),
            Text(),
            Padding(_how_well(figures, padding), (0, 0, 0, 1)),
        )
    )


def _side_by_side(results: Sequence[Replayed]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, header_style="bold")
    table.add_column("policy", no_wrap=True)
    for heading in (
        "quality",
        "utilisation",
        "over the\nestimate",
        "changes",
        "reversals",
        "padding",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        figures = result.figures
        table.add_row(
            result.policy,
            f"{figures.quality:.3f}",
            f"{figures.utilisation:.1%}",
            f"{figures.share_over_estimate:.1%}",
            str(figures.changes),
            str(figures.reversals),
            format_rate(8 * result.padding / figures.duration),
        )
    return table


def _heading(recording: Recording, figures: Figures) -> Text:
    estimates = [row.estimate for row in recording.rows]
    return Text.assemble(
        (f" {recording.name}", "bold"),
        f"  {len(recording.rows)} estimates in {figures.duration:.0f} s, ",
        f"{format_rate(min(estimates))} to {format_rate(max(estimates))}",
    )


def _who_got_what(recording: Recording, figures: Figures, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, header_style="bold")
    names = max(len("source"), *(cell_len(source.name) for source in recording.sources))
    table.add_column("source", no_wrap=True, min_width=min(names, width // 2))
    table.add_column("mean rate", justify="right", no_wrap=True)
    # On a narrow terminal the figures say it, and the bar goes.
    bar = min(width - _WIDTH_WITHOUT_BAR, _BAR_WIDTH)
    if bar >= _SHORTEST_BAR:
        table.add_column("time in each layer"[:bar], no_wrap=True)
    columns = _layer_columns(figures)
    # A name is worth more than how long its layers were on.
    if width < names + _WIDTH_BESIDE_NAMES + sum(max(len(column), 5) + 3 for column in columns):
        columns = []
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("changes", justify="right")
    table.add_column("reversals", justify="right")
    for part, colour in zip(figures.sources, colours(recording.sources), strict=True):
        table.add_row(
            Text(part.source.name, style=colour),
            format_rate(part.mean_rate),
            *([_bar(part, colour, bar)] if bar >= _SHORTEST_BAR else []),
            *(_share(part, column) for column in columns),
            "–" if part.source.is_fixed else str(part.changes),
            "–" if part.source.is_fixed else str(part.reversals),
        )
    return table


def _layer_columns(figures: Figures) -> list[str]:
    """The names of layers that somebody chooses among, each once, and of having none."""
    names = ["off"]
    for part in figures.sources:
        if not part.source.is_fixed:
            names += [layer for layer in part.source.layers if layer not in names]
    # Many different ladders would make a table wider than any screen; the bars tell as much.
    return names if len(names) <= _MOST_LAYER_COLUMNS else []


def _bar(part: SourceFigures, colour: str, width: int) -> Text:
    """Time in each layer as one bar, the fullest shade for the best layer."""
    if part.source.is_fixed:
        return Text("always", style="dim")
    count = len(part.shares)
    bar = ""
    reached = 0.0
    for index, share in enumerate(part.shares):
        reached += share
        # The last shade is the top layer's, whatever the number of layers.
        shade = _SHADES[max(len(_SHADES) - count + index, 0)]
        bar += shade * (round(reached * width) - len(bar))
    return Text.assemble((bar, colour), ("·" * (width - len(bar)), "dim"))


def _share(part: SourceFigures, layer: str) -> Text:
    if part.source.is_fixed:
        return Text("–", style="dim")
    shares = dict(zip(part.source.layers, part.shares, strict=True))
    shares["off"] = max(0.0, 1 - sum(part.shares))
    if layer not in shares:
        return Text("–", style="dim")
    share = shares[layer]
    return Text(f"{share:.1%}", style="dim" if share < 0.0005 else "")


def _how_well(figures: Figures, padding: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    rate = 8 * padding / figures.duration
    table.add_row(
        "quality",
        f"{figures.quality:.3f}",
        "of the best possible choice at each event "
        f"(utility by {'frame rate' if figures.rule.value == 'frames' else 'log of the rate'})",
    )
    table.add_row("utilisation", f"{figures.utilisation:.1%}", "of what could have been used")
    table.add_row("over the estimate", f"{figures.share_over_estimate:.1%}", "of the time")
    table.add_row("changes", str(figures.changes), f"of layer, at {figures.decisions} moments")
    table.add_row("reversals", str(figures.reversals), "turned back within 10 s")
    table.add_row("taken back", str(figures.taken_back), "turned back within 1 s: none is right")
    held = figures.spreads["withheld_p95"]
    for_long = f", for up to {held:.1f} s mostly" if held is not None else ""
    table.add_row(
        "withheld",
        f"{figures.withheld:.1%}",
        f"of the time a layer fit with a fifth to spare{for_long}",
    )
    wait, longest = figures.spreads["wait_p50"], figures.spreads["wait_p95"]
    if wait is not None and longest is not None:
        table.add_row(
            "to the best", f"{wait:.1f} s", f"median after a rise; 95th percentile {longest:.1f} s"
        )
    table.add_row("padding", format_rate(rate), "on average, to probe for more")
    return table
