"""Both pages in a real Chromium, driven as a person would."""

from __future__ import annotations

import pytest

from tests.sfu.browser import (
    CHROMIUM,
    PICTURE,
    browsing,
    flowing,
    join,
    publish,
    serving,
    turn,
    until,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


def test_a_person_publishes_watches_and_turns_everything():
    with serving() as url, browsing("--allow-loopback-in-peer-connection") as (context, complaints):
        camera = publish(context, url)
        page, took = join(context, url)
        assert took <= 2.0, "from page to picture"
        took = until("the best layer flows", lambda: flowing(page) == "f", patience=30)
        assert took <= 6.0, "until the best layer flows"
        until("it is decoded", lambda: page.evaluate(PICTURE)[0] == 960)
        # A narrow link: a lower layer, and why.
        turn(page, "rate", "5.4")  # 250 kbit/s
        until("a lower layer flows", lambda: flowing(page) in {"q", "h"})
        until("the network is blamed", lambda: "network" in page.inner_text(".why"))
        wanted = camera.locator("#layers tr:last-child td:last-child")
        until("nobody wants the best one", lambda: wanted.inner_text() == "nobody", patience=20)
        turn(page, "rate", "6.6")  # 4 Mbit/s
        # Two steps up, after some probes that found nothing and made the pauses between them longer.
        until("the best layer is back", lambda: flowing(page) == "f", patience=20)
        # Everything that can be clicked or chosen.
        page.select_option(".priority", "2")
        page.select_option(".pin", "q")
        until("the pinned layer flows", lambda: flowing(page) == "q")
        page.select_option(".pin", "")
        until("it is unpinned", lambda: flowing(page) == "f")
        page.click(".stage")
        until("it is on stage", lambda: page.locator(".tile.staged").count() == 1)
        page.click("button.pause")
        until("it is paused", lambda: flowing(page) is None)
        page.click("button.pause")
        until("it is resumed", lambda: flowing(page) is not None)
        page.click("button.mute")
        assert page.get_attribute("button.mute", "aria-pressed") == "false"
        before = page.evaluate(PICTURE)[1]
        until("pictures go on", lambda: page.evaluate(PICTURE)[1] > before + 10)
        page.click("#do-pause")
        page.click("#do-longer")
        assert page.input_value("#delay") == "80"
        assert page.locator("#decisions li").count() > 3
        # A second publisher comes and goes; the first one's video goes on.
        other = publish(context, url, "Bob")
        until("two are watched", lambda: page.locator("#tiles .tile").count() == 2)
        other.click("#stop")
        until("one is watched", lambda: page.locator("#tiles .tile").count() == 1)
        before = page.evaluate(PICTURE)[1]
        until("pictures go on", lambda: page.evaluate(PICTURE)[1] > before + 10)
        # Nothing for five seconds, and then the picture again.
        page.click("#do-cut")
        until("the silence is seen", lambda: "silence" in page.inner_text("#figures"))
        before = page.evaluate(PICTURE)[1]
        until("pictures go on", lambda: page.evaluate(PICTURE)[1] > before + 10)
        # Leave, and come back.
        page.click("#leave")
        until("it has left", lambda: "Left" in page.inner_text("#status"))
        page.click("#join")
        until("it is back", lambda: page.evaluate(PICTURE)[1] > 0)
        assert complaints == []


def test_it_works_without_any_favour_for_loopback():
    with serving() as url, browsing() as (context, complaints):
        publish(context, url)
        page, _took = join(context, url)
        until("pictures go on", lambda: page.evaluate(PICTURE)[1] > 20)
        assert complaints == []


def test_a_browser_that_offers_only_h264_is_understood():
    with serving() as url, browsing("--allow-loopback-in-peer-connection") as (context, complaints):
        publish(context, url, codec="h264")
        page, _took = join(context, url)
        until("pictures go on", lambda: page.evaluate(PICTURE)[1] > 20)
        until("a better layer flows", lambda: flowing(page) in {"h", "f"}, patience=30)
        before = page.evaluate(PICTURE)[1]
        until("pictures go on", lambda: page.evaluate(PICTURE)[1] > before + 10)
        codecs = page.evaluate("fetch('/debug').then((answer) => answer.json())")
        assert [each["codec"] for each in codecs["publications"][0]["tracks"]] == ["h264", "opus"]
        assert complaints == []


def test_a_screen_is_published():
    with (
        serving() as url,
        browsing(
            "--allow-loopback-in-peer-connection", "--auto-select-desktop-capture-source=Entire"
        ) as (context, complaints),
    ):
        page = context.new_page()
        page.goto(f"{url}/publish")
        page.check("input[value=screen]")
        page.click("#publish")
        until("it is published", lambda: "Published" in page.inner_text("#status"))
        watcher, _took = join(context, url)
        until("it is a screen", lambda: "screen" in watcher.inner_text(".who"))
        assert complaints == []
