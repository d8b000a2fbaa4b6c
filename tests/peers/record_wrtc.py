"""Record the transport-wide feedback of libwebrtc: ``python -m tests.peers.record_wrtc``.

Needs the extra ``peers``; no browser, no root.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

from tests.peers.capture import DATA
from tests.peers.webrtc import WebRtcSender


def main() -> None:
    sender = WebRtcSender(first=65_300, packets=900, size=1_000, rate=1_000_000, loss=0.05)
    receiver = subprocess.Popen(
        [sys.executable, "-m", "tests.peers.wrtc_receiver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"WRTC_ALLOW_LOOPBACK": "1"},
    )
    assert receiver.stdin is not None
    assert receiver.stdout is not None
    with receiver:
        try:
            offer = sender.offer().encode()
            receiver.stdin.write(b"%d\n" % len(offer) + offer)
            receiver.stdin.flush()
            receiver.stdout.read(int(receiver.stdout.readline()))
            sender.run()
        finally:
            receiver.kill()
    sender.save(DATA / "libwebrtc.txt", f"libwebrtc M152, by wrtc {version('wrtc')}")


if __name__ == "__main__":
    main()
