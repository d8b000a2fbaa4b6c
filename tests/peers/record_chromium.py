"""Record the transport-wide feedback of Chromium: ``python -m tests.peers.record_chromium``.

Needs the extra ``peers`` and Debian's package ``chromium``. The page that Chromium shows fetches
our offer and posts its answer; it receives only, so it asks for no camera.
"""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import tempfile
import threading

from tests.peers.capture import DATA
from tests.peers.webrtc import WebRtcSender

PAGE = b"""<!doctype html><video autoplay muted></video><script>
(async () => {
  const connection = new RTCPeerConnection();
  const offer = await (await fetch("/offer")).text();
  await connection.setRemoteDescription({type: "offer", sdp: offer});
  await connection.setLocalDescription(await connection.createAnswer());
  await fetch("/answer", {method: "POST", body: connection.localDescription.sdp});
})();
</script>"""


def serve(offer: str) -> http.server.HTTPServer:
    """A server of the page and the offer, on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = offer.encode() if self.path == "/offer" else PAGE
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            # It will check our candidate and shake our hand; what it answers adds nothing to that.
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    browser = shutil.which("chromium")
    if browser is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    sender = WebRtcSender(first=65_300, packets=900, size=1_000, rate=1_000_000, loss=0.05)
    server = serve(sender.offer())
    command = [browser, "--headless=new", "--no-sandbox", "--allow-loopback-in-peer-connection"]
    with tempfile.TemporaryDirectory() as profile:
        tab = subprocess.Popen(
            [
                *command,
                f"--user-data-dir={profile}",
                f"http://127.0.0.1:{server.server_port}/",
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            sender.run(patience=60)
        finally:
            tab.terminate()
            tab.wait()
            server.shutdown()
    version = subprocess.run(
        [browser, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    sender.save(DATA / "chromium.txt", " ".join(version[:2]))


if __name__ == "__main__":
    main()
