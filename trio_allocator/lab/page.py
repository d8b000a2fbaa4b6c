"""The report of a score as one page of HTML that needs nothing else: text, tables and pictures.

It is written for somebody who has never run the suite: what was done, what to look at first, what
each figure means, and a picture of the worst runs.
"""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .pictures.palette import COLOURS
from .score_figures import CHAPTER_TITLES, LEGEND, shown
from .suite import CHAPTERS, Case, Scored, Verdict, judge, means_by

_STYLE = """
:root { color-scheme: light dark; --ink: #2b3440; --muted: #66717f; --faint: #d5dae1; --ground: #fff;
  --good: #2e8b5f; --bad: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --muted: #9aa4b2; --faint: #3a4350;
  --ground: #161b22; --good: #5bbf8a; --bad: #e4716a; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; }
p.muted, td.muted, figcaption, .key { color: var(--muted); }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--faint);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child, td.words { text-align: left; } td.words { white-space: normal; }
th { font-weight: 600; } tr.first td { border-top: 2px solid var(--faint); }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
img { max-width: 100%; background: #fff; } figure { margin: 1.5rem 0; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .muted { fill: var(--muted); }
svg line { stroke: var(--faint); } details { margin: .5rem 0; } summary { cursor: pointer; }
"""


def write_page(results: Sequence[Scored], cases: Sequence[Case], title: str, version: str) -> str:
    """The page.

    Args:
        results: The runs that were made.
        cases: What they were made of; the worst are drawn.
        title: What it is of.
        version: Of the package, and whatever tells one result from another.
    """
    policies = list(dict.fromkeys(one.policy for one in results))
    colours = {policy: COLOURS[n % len(COLOURS)] for n, policy in enumerate(policies)}
    verdicts = judge(results)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1><p class='muted'>{html.escape(version)}</p>",
        _introduction(results, policies, colours),
        "<h2>What should hold</h2>",
        "<p>Each line is judged by its worst condition, the mean of its seeds.</p>",
        _bars(verdicts),
    ]
    for chapter in CHAPTERS:
        own = [one for one in results if one.chapter == chapter]
        if own:
            heading, about = CHAPTER_TITLES[chapter]
            parts += [f"<h2>{heading}</h2><p>{about}</p>", _means(own, policies)]
            parts.append(_dots(own, policies, colours))
            parts.append(_every_condition(own, policies))
    parts += ["<h2>The worst runs</h2>", _worst(verdicts, results, cases), _legend()]
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _introduction(
    results: Sequence[Scored], policies: Sequence[str], colours: dict[str, str]
) -> str:
    conditions = len({(one.chapter, one.condition) for one in results})
    seeds = len({one.seed for one in results})
    names = ", ".join(
        f"<span style='color:{colours[policy]}'>●</span> {html.escape(policy)}"
        for policy in policies
    )
    return (
        f"<p>{len(results)} calls were simulated, packet by packet: {conditions} conditions with "
        f"{seeds} seeds each, for each way to share the bandwidth: {names}. In each, a server sends "
        "several cameras, a screen and voices over one link to one participant, estimates what the "
        "link carries from the reports that come back, and divides that.</p>"
    )


def _bars(verdicts: Sequence[Verdict]) -> str:
    rows = []
    before = None
    for verdict in verdicts:
        bar = verdict.bar
        first = " class='first'" if bar is not before else ""
        name = (
            f"<td class='words'>{html.escape(bar.name)}<br><span class='muted'>"
            f"else: {html.escape(bar.why)}</span></td>"
            if bar is not before
            else "<td></td>"
        )
        before = bar
        if verdict.value is None:
            cells = "<td class='muted'>no such run</td><td></td><td></td><td></td>"
        else:
            word, style = ("holds", "good") if verdict.holds else ("falls short", "bad")
            limit = f"≤ {bar.most:g}" if bar.most is not None else f"≥ {bar.least:g}"
            cells = (
                f"<td class='{style}'>{word}</td><td>{verdict.value:.3g}</td>"
                f"<td class='muted'>{limit} {html.escape(bar.unit)}</td>"
                f"<td class='words muted'>{html.escape(verdict.condition)}</td>"
            )
        rows.append(f"<tr{first}>{name}<td>{html.escape(verdict.policy)}</td>{cells}</tr>")
    head = "<th>what</th><th>policy</th><th></th><th>worst</th><th>bar</th><th>where</th>"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _means(results: Sequence[Scored], policies: Sequence[str]) -> str:
    head = "".join(
        f"<th title='{html.escape(says)}'>{html.escape(name)}</th>"
        for name, says in LEGEND.values()
    )
    rows = []
    for policy in policies:
        own = [one for one in results if one.policy == policy]
        cells = "".join(f"<td>{shown(figure, _mean(own, figure))}</td>" for figure in LEGEND)
        rows.append(f"<tr><td>{html.escape(policy)}</td>{cells}</tr>")
    return f"<table><tr><th>policy</th>{head}</tr>{''.join(rows)}</table>"


def _every_condition(results: Sequence[Scored], policies: Sequence[str]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name, _says in LEGEND.values())
    rows = []
    for condition in sorted({one.condition for one in results}):
        for policy in policies:
            own = [one for one in results if (one.condition, one.policy) == (condition, policy)]
            if not own:
                continue
            cells = "".join(f"<td>{shown(figure, _mean(own, figure))}</td>" for figure in LEGEND)
            first = policy == policies[0]
            name = html.escape(condition) if first else ""
            rows.append(
                f"<tr{' class=first' if first else ''}><td>{name}</td>"
                f"<td>{html.escape(policy)}</td>{cells}</tr>"
            )
    return (
        "<details><summary>Every condition, the mean of its seeds</summary>"
        f"<table><tr><th>condition</th><th>policy</th>{head}</tr>{''.join(rows)}</table></details>"
    )


_DRAWN = ("qoe", "frozen", "switches", "padding")
_WIDTH, _LANE, _LEFT, _RIGHT = 900, 26, 130, 40


def _dots(results: Sequence[Scored], policies: Sequence[str], colours: dict[str, str]) -> str:
    """For some figures a line with a dot for each condition, and a bar at the mean."""
    height = (_LANE * len(policies) + 26) * len(_DRAWN)
    label = "Each condition as a dot, for each policy"
    drawn = [f"<figure><svg viewBox='0 0 {_WIDTH} {height}' role='img' aria-label='{label}'>"]
    top = 0
    for figure in _DRAWN:
        by_policy = {
            policy: means_by(
                (one for one in results if one.policy == policy), lambda one: one.condition, figure
            )
            for policy in policies
        }
        values = [value for means in by_policy.values() for value in means.values()]
        if not values:
            continue
        low, high = min(0.0, *values), max(values) or 1.0
        place = _scale(low, high)
        drawn.append(f"<text x='0' y='{top + 14}' font-weight='600'>{LEGEND[figure][0]}</text>")
        drawn += [
            f"<text class='muted' x='{place(value):.1f}' y='{top + 14}' text-anchor='middle'>"
            f"{shown(figure, value)}</text>"
            for value in (low, high)
        ]
        top += 20
        for policy, means in by_policy.items():
            middle = top + _LANE / 2
            drawn.append(
                f"<line x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{middle}' y2='{middle}'/>"
                f"<text class='muted' x='{_LEFT - 10}' y='{middle + 4}' text-anchor='end'>"
                f"{html.escape(policy)}</text>"
            )
            drawn += [
                f"<circle cx='{place(value):.1f}' cy='{middle}' r='5' fill='{colours[policy]}' "
                f"fill-opacity='.55'><title>{html.escape(condition)}: {shown(figure, value)}"
                "</title></circle>"
                for condition, value in means.items()
            ]
            if means:
                mean = place(sum(means.values()) / len(means))
                drawn.append(
                    f"<rect x='{mean - 1.5:.1f}' y='{middle - 10}' width='3' height='20' "
                    f"fill='{colours[policy]}'/>"
                )
            top += _LANE
        top += 6
    drawn.append(
        "</svg><figcaption>A dot for each condition (point at it for its name), a bar at the mean."
        "</figcaption></figure>"
    )
    return "".join(drawn)


def _scale(low: float, high: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - low) / span


_MOST_PICTURES = 6


def _worst(verdicts: Sequence[Verdict], results: Sequence[Scored], cases: Sequence[Case]) -> str:
    from .simulation.picture import save_picture, scene_of  # noqa: PLC0415  # slow to load

    parts = ["<p>Drawn are runs that fall short of a bar, at their worst.</p>"]
    seen: set[Case] = set()
    for verdict in verdicts:
        if verdict.holds is not False or len(seen) >= _MOST_PICTURES:
            continue
        case = _worst_case(verdict, results, cases)
        if case is None or case in seen:
            continue
        seen.add(case)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.png"
            save_picture(path, scene_of(case.job))
            picture = base64.b64encode(path.read_bytes()).decode()
        parts.append(
            f"<figure><img alt='{html.escape(case.condition)}' src='data:image/png;base64,{picture}'>"
            f"<figcaption>{html.escape(verdict.bar.name)}: {html.escape(case.condition)}, "
            f"{html.escape(case.job.policy)}, seed {case.job.seed}</figcaption></figure>"
        )
    if not seen:
        return "<p>Every bar holds.</p>"
    return "".join(parts)


def _worst_case(verdict: Verdict, results: Sequence[Scored], cases: Sequence[Case]) -> Case | None:
    pick = max if verdict.bar.most is not None else min
    own = [
        (one.figures[verdict.bar.figure] or 0.0, case)
        for one, case in zip(results, cases, strict=True)
        if verdict.bar.concerns(one)
        and (one.policy, one.condition) == (verdict.policy, verdict.condition)
    ]
    return pick(own, key=lambda pair: pair[0])[1] if own else None


def _legend() -> str:
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td><td class='words'>{html.escape(says)}</td></tr>"
        for name, says in LEGEND.values()
    )
    return (
        "<h2>What the figures mean</h2><p>Never read one alone: utility without frozen flatters who "
        f"ignores the queue, and utility without switches rewards flapping.</p><table>{lines}</table>"
    )


def _mean(results: Sequence[Scored], figure: str) -> float | None:
    values = [value for one in results if (value := one.figures.get(figure)) is not None]
    return sum(values) / len(values) if values else None
