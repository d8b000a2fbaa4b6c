"""A Chromium, and what a person does at the pages of the media server."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

from tests.sfu.pages import PATIENCE, ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

ARGUMENTS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--no-sandbox",
)
PICTURE = """() => {
    const video = document.querySelector("#tiles video");
    return video ? [video.videoWidth, video.getVideoPlaybackQuality().totalVideoFrames] : [0, 0];
}"""


@contextmanager
def serving():
    command = [sys.executable, "-m", "examples.sfu", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            hangs = threading.Timer(PATIENCE, server.kill)  # then the line is empty
            hangs.start()
            found = re.search(r"http://\S+", server.stdout.readline())
            hangs.cancel()
            assert found, "the server did not start"
            yield found[0]
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(PATIENCE)
            server.kill()  # if it has not ended


@contextmanager
def browsing(*arguments, **options):
    """A context of a browser, and what its pages complained of."""
    from playwright.sync_api import sync_playwright

    complaints = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        context = browser.new_context(permissions=["camera", "microphone"], **options)
        context.on("console", lambda said: complaints.append(said.text) if is_bad(said) else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        yield context, complaints
        browser.close()


def is_bad(said):
    return said.type in {"error", "warning"}


def until(what, condition, patience=15.0):
    """Wait for something that a person would see; returns how long it took, s."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() < begin + patience, what
        time.sleep(0.02)
    return time.monotonic() - begin


def publish(context, url, name="Ada", codec=None):
    page = context.new_page()
    page.goto(f"{url}/publish" + ("" if codec is None else f"?codec={codec}"))
    page.fill("#name", name)
    page.click("#publish")
    until("it is published", lambda: "Published" in page.inner_text("#status"))
    return page


def join(context, url):
    page = context.new_page()
    page.goto(f"{url}/watch")
    page.click("#join")
    took = until("a picture is there", lambda: page.evaluate(PICTURE)[1] > 0)
    return page, took


def turn(page, name, value):
    page.evaluate(
        """([name, value]) => {
            const slider = document.getElementById(name);
            slider.value = value;
            slider.dispatchEvent(new Event("input"));
            slider.dispatchEvent(new Event("change"));
        }""",
        [name, value],
    )


def flowing(page):
    """The layer that is marked, such as ``q 120 kbit/s``."""
    # In one step: what is counted first may be gone when its text is asked for, and is waited for then.
    marked = page.locator("#tiles .flowing").all_inner_texts()
    return marked[0][0] if marked else None
