"""Figures of runs that were made up, so that they can be worked out by hand."""

import io
import json
import re
from pathlib import Path

import pytest
from attrs import fields
from rich.console import Console

from tests.lab.linktest.made_up import DROP, TWO, good_run, run_of, stream
from trio_allocator.lab.judging import Watched
from trio_allocator.lab.linktest.comparison import Verdict, judge, line_ups, tabulate
from trio_allocator.lab.linktest.figures import Figures, combine, measure, rates
from trio_allocator.lab.linktest.report import LEGEND, as_json, describe, print_table
from trio_allocator.lab.linktest.result import FlowRecord, Packet, Run, Stack, percentile
from trio_allocator.lab.linktest.scenarios import Scenario


def test_utilisation_is_bits_carried_of_those_that_could_be():
    figures = measure(run_of(DROP, stream(0, 30, 1e6)))
    assert figures.utilisation == pytest.approx(30 / 50, rel=0.001)


def test_what_leaves_after_the_end_does_not_count():
    packets = stream(0, 30, 1e6, waited=3.0)
    assert measure(run_of(DROP, packets)).utilisation == pytest.approx(27 / 50, rel=0.001)


def test_what_was_dropped_carries_nothing_and_never_waited():
    dropped = [Packet(1.0, 0, 1_000, None, None)] * 50
    figures = measure(run_of(DROP, [*stream(0, 1, 1e6, waited=0.1), *dropped], overflowed=50))
    assert figures.utilisation == pytest.approx(1 / 50, rel=0.001)
    assert figures.queue_delay == pytest.approx(0.1)
    assert figures.overflow == pytest.approx(50 / 175)


def test_the_queue_delay_of_95_of_100_packets():
    packets = [*stream(0, 9, 1e6, waited=0.01), *stream(9, 10, 1e6, waited=0.2)]
    assert measure(run_of(DROP, packets)).queue_delay == pytest.approx(0.2)
    packets = [*stream(0, 9.6, 1e6, waited=0.01), *stream(9.6, 10, 1e6, waited=0.2)]
    assert measure(run_of(DROP, packets)).queue_delay == pytest.approx(0.01)


def test_reaction_is_when_no_more_arrives_than_can_be_carried():
    # 0.5 s at 1.6 Mbit/s, then 0.8: the window of 0.3 s is at 1.0 when 0.225 s of it are at 0.8.
    assert measure(good_run()).reaction == pytest.approx(0.725, abs=0.02)


def test_who_never_reacts_has_taken_all_the_time_there_was():
    assert measure(run_of(DROP, stream(0, 30, 1.6e6))).reaction == 10


def test_recovery_is_when_nine_tenths_leave():
    # The window of 1 s is at 1.8 of 1.9 Mbit/s when 0.91 s of it are.
    assert measure(good_run()).recovery == pytest.approx(2.91, abs=0.03)
    assert measure(run_of(DROP, stream(0, 30, 1e6))).recovery == 10


def test_a_flow_that_resumes_recovers_by_itself():
    packets = [
        *stream(0, 60, 1e6, flow=0),
        *stream(5, 30, 1e6, flow=1),
        *stream(45, 60, 1e6, flow=1),
    ]
    assert measure(run_of(TWO, packets, (Stack.OURS,) * 2)).recovery == pytest.approx(5.9, abs=0.1)


def test_fairness_counts_while_all_are_active_and_have_settled():
    packets = [
        *stream(0, 15, 1.9e6, flow=0),  # alone, then settling
        *stream(15, 30, 0.5e6, flow=0),
        *stream(15, 30, 1.5e6, flow=1),
        *stream(30, 50, 1.9e6, flow=0),  # alone, then settling
        *stream(50, 60, 0.5e6, flow=0),
        *stream(50, 60, 1.5e6, flow=1),
    ]
    fairness = measure(run_of(TWO, packets, (Stack.OURS,) * 2)).fairness
    assert fairness == pytest.approx(4 / (2 * 2.5), rel=0.01)


def test_two_that_starve_each_other_in_turn_are_not_fair():
    packets = [
        *stream(15, 20, 1.5e6, flow=0),
        *stream(20, 25, 1.5e6, flow=1),
        *stream(25, 30, 1.5e6, flow=0),
    ]
    fairness = measure(run_of(TWO, packets, (Stack.OURS,) * 2)).fairness
    assert fairness == pytest.approx(0.5, rel=0.01)


def test_without_packets_there_are_no_figures_to_speak_of():
    figures = measure(run_of(TWO, [], (Stack.OURS,) * 2))
    assert (figures.utilisation, figures.queue_delay, figures.fairness) == (0, 0, None)
    assert (figures.media, figures.recovery) == (0, 20)


def test_media_is_a_share_of_what_was_sent():
    assert measure(run_of(DROP, stream(0, 8, 1e6), media=750_000)).media == pytest.approx(0.75)


def test_retransmissions_are_compared_with_the_estimate_of_their_time():
    # 100 kbit within a second of 1 Mbit/s, and as much of 2 Mbit/s.
    repeated = ((1.0, 6_250), (1.9, 6_250), (6.0, 12_500))
    assert measure(run_of(DROP, [], repeated=repeated)).repeated == pytest.approx(0.1)
    assert measure(run_of(DROP, [], repeated=repeated[2:])).repeated == pytest.approx(0.05)
    assert measure(run_of(DROP, [])).repeated == 0


def test_a_schedule_without_drops_has_no_reaction():
    flat = Scenario("flat", "", ((0, 1e6),), 10)
    figures = measure(run_of(flat, stream(0, 10, 1e6)))
    assert (figures.reaction, figures.recovery, figures.fairness) == (None, None, None)
    assert combine([figures, figures]) == figures


def test_medians_over_runs():
    figures = [measure(good_run(slow=slow)) for slow in (0.1, 0.5, 5.0)]
    assert combine(figures).reaction == figures[1].reaction


def test_rates_within_a_window():
    found = dict(rates([(0.0, 100), (0.5, 100), (1.0, 100), (3.0, 100)], 1.0))
    assert found == {0.0: 800, 0.5: 1_600, 1.0: 1_600, 3.0: 800}


def test_percentiles():
    assert percentile([], 0.9) == 0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2
    assert percentile([3.0, 1.0, 2.0], 1.0) == 3


# --- beside libwebrtc --------------------------------------------------------------------------


def test_line_ups():
    one, two = DROP, TWO
    both = (Stack.OURS, Stack.LIBWEBRTC)
    assert line_ups(one, both) == [(Stack.OURS,), (Stack.LIBWEBRTC,)]
    assert line_ups(two, both) == [(Stack.OURS,) * 2, (Stack.LIBWEBRTC,) * 2, both]
    assert line_ups(two, (Stack.OURS,)) == [(Stack.OURS,) * 2]


def beside(ours, theirs):
    rows = tabulate([*ours, *theirs])
    assert [row.line_up for row in rows] == [(Stack.OURS,), (Stack.LIBWEBRTC,)]
    assert judge(rows[1], rows) is None
    return judge(rows[0], rows)


def theirs(**rest):
    return good_run((Stack.LIBWEBRTC,), **rest)


def test_equal_is_not_worse():
    assert beside([good_run()], [theirs()]).verdict is Verdict.BETTER


def test_a_little_later_holds():
    assert beside([good_run(slow=0.6)], [theirs()]).verdict is Verdict.HOLDS


def test_much_later_falls_short():
    judgement = beside([good_run(slow=0.8)], [theirs()])
    assert (judgement.verdict, judgement.short) == (Verdict.SHORT, ("reaction",))
    assert str(judgement) == "falls short: reaction"


def test_less_used_and_longer_queued_falls_short():
    packets = [*stream(0, 10, 1e6, waited=0.02), *stream(10, 30, 0.9e6, waited=0.02)]
    judgement = beside([run_of(DROP, packets)], [theirs()])
    assert judgement.short == ("utilisation", "queue delay")


def test_starved_runs_are_never_green():
    starved = good_run(lateness=[0.0] * 98 + [0.006] * 2)
    assert starved.is_starved
    assert beside([starved], [theirs()]).verdict is Verdict.INCONCLUSIVE
    assert beside([good_run(lateness=())], [theirs()]).verdict is Verdict.INCONCLUSIVE
    assert good_run(media=10**12).is_starved  # the relay has not heard all that was sent
    late_but_once = good_run(lateness=[0.0] * 199 + [0.006])
    assert beside([starved, late_but_once], [theirs()]).verdict is Verdict.BETTER
    assert describe(starved) == "drop, ours: inconclusive, deliveries up to 6.0 ms late"


def test_alone_there_is_nothing_to_compare_with():
    rows = tabulate([good_run()])
    assert judge(rows[0], rows) is None


def printed(runs, width=80):
    page = io.StringIO()
    print_table(Console(file=page, width=width), tabulate(runs))
    return page.getvalue()


def test_the_table_fits_a_terminal_and_says_all():
    starved = theirs(lateness=(1.0,))
    page = printed(
        [good_run(), theirs(), starved, run_of(TWO, stream(0, 60, 1e6), (Stack.OURS,) * 2)]
    )
    assert max(map(len, page.split("\n"))) <= 80
    assert "…" not in page
    for words in ("drop  2, 1, 2 Mbit/s", " 0.73 ", "better", "1/2", "1 of 4 runs tell nothing"):
        assert words in page


def test_a_row_without_figures_shows_none():
    page = printed([good_run(lateness=(1.0,)), theirs()])
    assert "–" in page
    assert "inconclusive" in page


def test_keys_for_machines():
    answer = json.loads(json.dumps(as_json(tabulate([good_run(), theirs(lateness=(1.0,))]))))
    ours, other = answer["schedules"]
    assert (ours["schedule"], ours["flows"], ours["runs"]) == ("drop", ["ours"], 1)
    assert ours["figures"]["reaction"] == pytest.approx(0.725, abs=0.02)
    assert ours["figures"]["fairness"] is None
    assert (ours["verdict"], ours["short"]) == ("inconclusive", [])
    assert (other["verdict"], other["figures"], other["starved"]) == (None, None, 1)
    assert other["lateness_ms"] == [1000]


def test_what_pictures_were_given_is_judged_as_in_every_measurement():
    rates = (100_000, 400_000, 1_000_000)
    # Up at 12 s and back half a second later; then nothing more, though there is room for it.
    given = [(0.0, 0), (12.0, 1), (12.5, 0)]
    receiver = Watched(rates, given, given)
    estimates = ((0.0, 150_000.0), (15.0, 900_000.0), (20.0, 150_000.0))
    flow = FlowRecord(Stack.OURS, estimates, 0, (), (receiver,))
    figures = measure(Run(DROP, (flow,), (), (0.0,), 0, 0))
    # 20 of its 30 s count.
    assert figures.switches == pytest.approx(2 * 60 / 20)
    assert figures.taken_back == pytest.approx(60 / 20)
    assert figures.withheld == pytest.approx(5 / 20)
    assert figures.withheld_p95 == pytest.approx(5)
    theirs = measure(good_run((Stack.LIBWEBRTC,)))
    assert (theirs.switches, theirs.taken_back, theirs.withheld) == (None, None, None)
    assert combine([figures, theirs]).switches == figures.switches


def test_the_documentation_tells_of_all_columns():
    page = (Path(__file__).parents[3] / "docs" / "link_test.md").read_text(encoding="utf-8")
    page = page.partition("## What the figures mean")[2].partition("\n## ")[0]
    told = re.findall(r"^\| ([\w ]*) \| `(\w+)` \|", page, re.MULTILINE)
    assert [name.strip() for name, _key in told if name.strip()] == [name for name, _says in LEGEND]
    keys = {attribute.name for attribute in fields(Figures)}
    assert {key for _name, key in told} <= keys
