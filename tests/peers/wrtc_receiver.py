"""A libwebrtc that receives: an offer on standard input, the answer on standard output."""

from __future__ import annotations

import asyncio
import sys

import webrtc


async def main() -> None:
    connection = webrtc.RTCPeerConnection()
    offer = sys.stdin.buffer.read(int(sys.stdin.buffer.readline())).decode()
    await connection.set_remote_description(webrtc.RTCSessionDescription("offer", offer))
    await connection.set_local_description(await connection.create_answer())
    answer = connection.local_description.sdp.encode()
    sys.stdout.buffer.write(b"%d\n" % len(answer) + answer)
    sys.stdout.buffer.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)
    connection.close()


if __name__ == "__main__":
    asyncio.run(main())
