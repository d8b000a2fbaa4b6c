"""Record the transport-wide feedback of GStreamer: ``python -m tests.peers.record_gstreamer``.

Needs ``gst-launch-1.0`` with the plugins base and good (Debian: gstreamer1.0-tools,
gstreamer1.0-plugins-base, gstreamer1.0-plugins-good). Plain RTP/AVPF on loopback, no encryption.
"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import threading
import time

from tests.peers.capture import DATA, Capture
from trio_allocator.lab.linktest.rtp import EXTENSION_ID, RtpHeader, build_rtp

FIRST = 65_300
PACKETS = 600
RATE = 1_000_000
SIZE = 1_000
URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
VP8_DESCRIPTOR = b"\x10"


def pipeline(media_port: int, feedback_port: int) -> list[str]:
    """A receiver of one VP8 stream that sends its RTCP to us."""
    # GStreamer expects this with quotes of its own around what has a slash.
    caps = (
        "application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96,"
        f'extmap-{EXTENSION_ID}=(string)"{URI}",rtcp-fb-transport-cc=(boolean)true'
    )
    return [
        *("gst-launch-1.0", "-q", "rtpbin", "name=rtp", "rtp-profile=avpf"),
        *("udpsrc", f"port={media_port}", "address=127.0.0.1", f"caps={caps}"),
        *("!", "rtp.recv_rtp_sink_0", "rtp.", "!", "rtpvp8depay"),
        *("!", "fakesink", "sync=false"),
        *("rtp.send_rtcp_src_0", "!", "udpsink", "host=127.0.0.1", f"port={feedback_port}"),
        *("sync=false", "async=false"),
    ]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def send(media_port: int, chance: random.Random) -> list[int]:
    """Send the packets, some late, some never, and tell which ones never."""
    lost: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        begin = time.monotonic()
        held: bytes | None = None
        for number in range(PACKETS):
            due = begin + number * SIZE * 8 / RATE
            # A pause within a frame, longer than a small delta can say (64 ms).
            due += 0.3 * (number // 260)
            time.sleep(max(0.0, due - time.monotonic()))
            sequence = (FIRST + number) % 65_536
            # GStreamer reports at the end of each frame: small ones first, then large ones.
            frame = 4 if number < 100 else 40
            is_last = number % frame == frame - 1
            header = RtpHeader(96, number, 3_000 * (number // frame), 0x5EED, sequence, is_last)
            payload = VP8_DESCRIPTOR + bytes(SIZE - 21)
            packet = build_rtp(header, payload)
            # From packet 300 on one in twenty is lost, and thirty in a row are.
            if (number > 300 and chance.random() < 0.05) or 400 <= number < 430:
                lost.append(sequence)
                continue
            if number > 450 and held is None and chance.random() < 0.05:
                held = packet  # overtaken by the next
                continue
            out.sendto(packet, ("127.0.0.1", media_port))
            if held is not None:
                out.sendto(held, ("127.0.0.1", media_port))
                held = None
    return lost


def main() -> None:
    if shutil.which("gst-launch-1.0") is None:
        sys.exit("gst-launch-1.0 is not installed: apt-get install gstreamer1.0-tools")
    capture = Capture()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as feedback:
        feedback.bind(("127.0.0.1", 0))
        feedback.settimeout(0.2)
        media_port = free_port()
        receiver = subprocess.Popen(pipeline(media_port, feedback.getsockname()[1]))
        reader = threading.Thread(target=capture.read, args=(feedback,))
        try:
            time.sleep(1.5)  # nothing says when it listens
            reader.start()
            lost = send(media_port, random.Random(1))
            time.sleep(0.5)
        finally:
            capture.done.set()
            receiver.terminate()
            receiver.wait()
            reader.join()
    version = subprocess.run(
        ["gst-launch-1.0", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1]
    capture.save(
        DATA / "gstreamer.txt",
        version,
        f"sent {FIRST} to {(FIRST + PACKETS - 1) % 65_536}, without "
        + " ".join(str(sequence) for sequence in lost),
    )


if __name__ == "__main__":
    main()
