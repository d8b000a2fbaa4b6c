"""What a run feeds to the allocator and its receivers."""

from collections import Counter

import pytest
import trio

from trio_allocator.lab.replay import session
from trio_allocator.lab.replay.pace import PacedClock
from trio_allocator.lab.replay.quality import measure
from trio_allocator.lab.replay.reader import read_recording
from trio_allocator.lab.replay.state import RunState
from trio_allocator.receiver import TrackReceiver
from trio_allocator.shell.tasks import Timekeeper


@pytest.fixture
def divide(tmp_path):
    """Run a recording in virtual time, and return its state at the end."""

    def divide(text):
        path = tmp_path / "calls.csv"
        path.write_text(text)
        state = RunState(read_recording(path))
        clock = PacedClock()
        trio.run(session.divide, state, clock, clock=clock)
        return state

    return divide


def times(state):
    return [(round(change.time, 3), change.before, change.after) for change in state.changes]


def test_what_does_not_fit_is_paused_and_comes_back_with_its_row(divide):
    state = divide(
        "time_s,estimate_bps,cam_low,cam_high\n"
        "0,50000,150000,500000\n2,200000,150000,500000\n4,200000,150000,500000\n"
    )
    assert state.start == (None,)
    assert times(state) == [(2.0, None, 0)], "nothing was taken away, so nothing is held back"
    assert state.time == 4.0
    assert state.rows_fed == 3
    assert state.allocations == [150_000], "the bare rate is what it asks for"


def test_what_no_longer_fits_is_paused(divide):
    rates = "150000,500000"
    state = divide(
        f"time_s,estimate_bps,cam_low,cam_high\n0,200000,{rates}\n1,50000,{rates}\n2,50000,{rates}\n"
    )
    assert times(state) == [(1.0, 0, None)], "in the same moment"
    assert state.allocations == [0]


def test_the_first_choice_is_the_start_and_no_change(divide):
    state = divide("time_s,estimate_bps,cam_low,cam_high\n0,900000,150000,500000\n1,900000,,\n")
    assert state.start == (1,)


def test_a_layer_that_became_lighter_for_good_is_taken(divide):
    rows = "".join(f"{t},300000,100000,{500_000 if t < 5 else 200_000}\n" for t in range(15))
    state = divide("time_s,estimate_bps,cam_low,cam_high\n" + rows)
    (change,) = times(state)
    assert change[1:] == (0, 1)
    assert 5 < change[0] < 9, "some time after it did, not at once"


def test_an_estimate_stands_until_the_next(divide):
    state = divide(
        "time_s,estimate_bps,cam_low,cam_high\n"
        "0,900000,150000,500000\n1,300000,150000,500000\n2,900000,150000,500000\n"
        "60,900000,150000,500000\n"
    )
    assert measure(state.recording, state.history()).sources[0].shares[1] > 0.8


def test_media_and_padding_are_what_was_chosen_and_asked_for(divide, monkeypatch):
    sent: Counter[str] = Counter()
    padding: Counter[str] = Counter()

    class Spy(TrackReceiver):
        def packet_sent(self, size):
            sent[self.track.id] += size
            super().packet_sent(size)

        def padding_sent(self, size):
            padding[self.track.id] += size
            super().padding_sent(size)

    monkeypatch.setattr(session, "TrackReceiver", Spy)
    rows = "".join(f"{t},400000,150000,500000,35000\n" for t in range(21))
    state = divide("time_s,estimate_bps,cam_low,cam_high,mic_full\n" + rows)
    assert sent["cam"] == pytest.approx(150_000 * 20 / 8, rel=0.02)
    assert sent["mic"] == pytest.approx(35_000 * 20 / 8, rel=0.02)
    assert padding.keys() == {"cam"}, "audio does not pad"
    assert state.padding == padding["cam"] > 0, "more is wanted, so it was probed for"


def test_fixed_tracks_are_no_choice(divide):
    state = divide("time_s,estimate_bps,mic_full\n0,10000,35000\n5,10000,35000\n")
    assert state.choices == [0]
    assert state.changes == []


def test_choosing_what_is_chosen_is_no_change(divide):
    state = divide("time_s,estimate_bps,cam_low,cam_high\n0,900000,150000,500000\n1,1,1,2\n")
    before = list(state.changes)
    state.choose(0, state.choices[0])
    assert state.changes == before


def test_ctrl_c_comes_out_wherever_it_strikes(divide, monkeypatch):
    async def struck(_timekeeper):
        await trio.sleep(0.5)
        raise KeyboardInterrupt

    # In a task of the allocator's own, of which there is always one.
    monkeypatch.setattr(Timekeeper, "_probe", struck)
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: ASYNC401 - however deep
        divide("time_s,estimate_bps,cam_low,cam_high\n0,300000,150000,500000\n9,1,1,2\n")
    assert caught.value.subgroup(KeyboardInterrupt) is not None
