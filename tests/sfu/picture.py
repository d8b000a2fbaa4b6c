"""``python -m tests.sfu.picture``: the watching page, as the documentation shows it.

Two publish, one with a higher priority; the link gets narrower, and a little wider again.
"""

from __future__ import annotations

import argparse
import time

from tests.sfu.browser import CHROMIUM, browsing, join, publish, serving, turn, until
from tests.sfu.options import need
from tests.sfu.pages import ROOT

SCENE = ((12, 5.8), (15, 6.1), (14, None))
"""Seconds, and the capacity after them as a power of ten."""


def main(path, scheme):
    """Play the scene, and take the picture."""
    size = {"width": 1280, "height": 860}
    with (
        serving() as url,
        browsing("--allow-loopback-in-peer-connection", viewport=size, color_scheme=scheme) as (
            context,
            _complaints,
        ),
    ):
        publish(context, url, "Ada")
        publish(context, url, "Bob")
        page, _took = join(context, url)
        until("two are watched", lambda: page.locator("#tiles .flowing").count() == 2)
        page.select_option(".priority >> nth=0", "2")
        for seconds, power in SCENE:
            time.sleep(seconds)
            if power is not None:
                turn(page, "rate", str(power))
        page.screenshot(path=path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.sfu.picture", description=__doc__)
    parser.add_argument("--path", default=str(ROOT / "docs/images/sfu.png"), help="where to")
    parser.add_argument("--scheme", default="light", choices=["light", "dark"], help="of colours")
    arguments = parser.parse_args()
    need(parser, "playwright")
    if CHROMIUM is None:
        parser.error("there is no Chromium: apt-get install chromium")
    main(arguments.path, arguments.scheme)
