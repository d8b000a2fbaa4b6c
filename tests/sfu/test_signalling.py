"""What pages say, over real WebSockets: answers, refusals in words, and others that notice nothing."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from contextlib import asynccontextmanager

import pytest
import trio

from examples.sfu.room import Room, Settings
from examples.sfu.web import WebServer
from tests.sfu.offers import PUBLISH, WATCH, without
from tests.sfu.pages import open_socket


@asynccontextmanager
async def serving(**settings):
    """A server; yields its room and port."""
    room = Room(Settings(**{"emulates_links": False, **settings}))
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            address = await nursery.start(WebServer(room, "127.0.0.1", 0).run)
            yield room, int(address.rsplit(":", 1)[1].strip("/"))
            nursery.cancel_scope.cancel()


async def said(socket, kind):
    """The next message of a kind."""
    while True:
        message = await socket.receive()
        if message["type"] == kind:
            return message


def publish(**changes):
    return {"sdp": PUBLISH, "name": "Ada", "kind": "camera", "rates": {"q": 1_000}, **changes}


async def test_a_camera_is_published_and_everybody_is_told():
    async with serving() as (room, port), open_socket(port) as watcher:
        assert (await said(watcher, "room"))["publications"] == []
        async with open_socket(port) as socket:
            await socket.send(type="publish", **publish())
            answer = await said(socket, "answer")
            assert "a=simulcast:recv q;h;f" in answer["sdp"]
            assert "a=ice-lite" in answer["sdp"]
            (told,) = (await said(watcher, "room"))["publications"]
            assert (told["id"], told["name"], told["kind"]) == (answer["id"], "Ada", "camera")
            assert [track["kind"] for track in told["tracks"]] == ["video", "audio"]
            (publication,) = room.publications.values()
            assert publication.tracks[told["tracks"][0]["id"]].rates["q"] == 1_050, "with headers"
            await socket.send(type="publish", **publish())
            assert "already" in (await said(socket, "error"))["message"]
        assert (await said(watcher, "room"))["publications"] == []
        assert not room.publications


async def test_what_is_published_can_be_watched():
    async with (
        serving() as (room, port),
        open_socket(port) as publisher,
        open_socket(port) as watcher,
    ):
        await publisher.send(type="publish", **publish())
        number = (await said(publisher, "answer"))["id"]
        await watcher.send(type="watch")
        assert (await said(watcher, "ready"))["link"] is None
        tracks = {"0": f"{number}/video", "1": f"{number}/audio"}
        await watcher.send(type="offer", sdp=WATCH, tracks=tracks)
        lines = (await said(watcher, "answer"))["sdp"].split("\r\n")
        assert lines.count("a=sendonly") == 2
        group = next(line for line in lines if line.startswith("a=ssrc-group:FID "))
        media, repeated = group.split()[1:]
        ssrcs = [line.split()[0] for line in lines if line.startswith("a=ssrc:")]
        assert ssrcs[:2] == [f"a=ssrc:{media}", f"a=ssrc:{repeated}"], "the media's first"
        await watcher.send(type="offer", sdp=WATCH, tracks={"0": f"{number}/video"})
        again = (await said(watcher, "answer"))["sdp"].split("\r\n")
        assert again.count("a=sendonly") == again.count("a=inactive") == 1
        assert group in again, "what stays keeps its streams"
        await watcher.send(type="wish", track=tracks["0"], priority=2, target="h", muted=True)
        await watcher.send(type="wish", track=tracks["0"], pin="zz")
        assert "no layer 'zz'" in (await said(watcher, "error"))["message"]
        assert len(room.subscribers) == 1


REFUSED = [
    ("no json", "this is no JSON"),
    ("[" * 5_000, "this is no JSON"),
    (json.dumps([1, 2]), 'an object with a "type"|object with a "type"'),
    (json.dumps({"type": 7}), 'object with a "type"'),
    (json.dumps("publish"), 'object with a "type"'),
    (json.dumps({"type": "offer"}), "begin with publish or watch"),
    (json.dumps({"type": "publish"}), "this is no SDP"),
    (json.dumps({"type": "publish", **publish(sdp=[PUBLISH])}), "this is no SDP"),
    (json.dumps({"type": "publish", **publish(name="")}), "a name of 1 to 40"),
    (json.dumps({"type": "publish", **publish(name="x" * 41)}), "a name of 1 to 40"),
    (json.dumps({"type": "publish", **publish(kind="cat")}), "a camera or a screen"),
    (json.dumps({"type": "publish", **publish(rates=[])}), "rates are an object"),
    (json.dumps({"type": "publish", **publish(rates={"q": "x"})}), "a rate must be a number"),
    (json.dumps({"type": "publish", **publish(rates={"q": 0})}), "a rate must be from 1"),
    (json.dumps({"type": "publish", **publish(rates={"q": float("nan")})}), "must be a number"),
    (
        json.dumps({"type": "publish", **publish(sdp=without(PUBLISH, "transport-cc"))}),
        "no transport-wide congestion control",
    ),
    (
        json.dumps({"type": "publish", **publish(sdp=without(PUBLISH, "VP8", "H264"))}),
        "no video to publish",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
async def test_what_means_nothing_is_refused_in_words_and_the_page_may_go_on(text, message):
    async with serving() as (room, port), open_socket(port) as socket:
        await socket.send_text(text)
        assert re.search(message, (await said(socket, "error"))["message"])
        assert not room.publications
        await socket.send(type="publish", **publish())
        await said(socket, "answer")


WATCHING = [
    ({"type": "publish"}, "means nothing to one who watches"),
    ({"type": "offer", "sdp": "v=0", "tracks": {}}, "media sections"),
    ({"type": "offer", "sdp": WATCH}, "tracks are an object"),
    ({"type": "offer", "sdp": WATCH, "tracks": {"0": 1}}, "tracks are an object"),
    ({"type": "wish", "track": "p9/video", "priority": 1}, "there is no track"),
    ({"type": "wish", "priority": 10}, "priority must be from 0 to 9"),
    ({"type": "wish", "pin": 7}, "a layer is a name or null"),
    ({"type": "link", "name": "rate", "value": 1}, "means nothing"),
]


@pytest.mark.parametrize(("message", "words"), WATCHING)
async def test_a_watcher_is_refused_in_words_and_may_go_on(message, words):
    async with serving() as (_, port), open_socket(port) as socket:
        await socket.send(type="watch")
        await said(socket, "ready")
        await socket.send(**message)
        assert words in (await said(socket, "error"))["message"]
        await socket.send(type="offer", sdp=WATCH, tracks={"0": "nobody/video"})
        assert "a=inactive" in (await said(socket, "answer"))["sdp"]


async def test_a_watcher_without_feedback_is_refused():
    async with (
        serving() as (_, port),
        open_socket(port) as publisher,
        open_socket(port) as watcher,
    ):
        await publisher.send(type="publish", **publish())
        number = (await said(publisher, "answer"))["id"]
        await watcher.send(type="watch")
        for sdp, words in (
            (without(WATCH, "transport-cc"), "no transport-wide congestion control"),
            (without(WATCH, "VP8"), "can not play vp8"),
        ):
            await watcher.send(type="offer", sdp=sdp, tracks={"0": f"{number}/video"})
            assert words in (await said(watcher, "error"))["message"]


async def test_a_video_without_simulcast_is_one_layer():
    async with serving() as (room, port), open_socket(port) as socket:
        sdp = without(PUBLISH, "a=rid", "a=simulcast")
        await socket.send(type="publish", **publish(sdp=sdp))
        assert "simulcast" not in (await said(socket, "answer"))["sdp"]
        (publication,) = room.publications.values()
        assert [list(track.layers) for track in publication.tracks.values()] == [["only"], ["only"]]


async def test_the_room_has_an_end():
    async with serving(most_publications=1, most_subscribers=1) as (room, port):
        async with open_socket(port) as first, open_socket(port) as second:
            await first.send(type="publish", **publish())
            await said(first, "answer")
            await second.send(type="publish", **publish())
            assert "that is the limit" in (await said(second, "error"))["message"]
            await second.send(type="watch")
            await said(second, "ready")
            async with open_socket(port) as third:
                await third.send(type="watch")
                assert "that is the limit" in (await said(third, "error"))["message"]
        while room.subscribers:  # noqa: ASYNC110 - the server is somebody else
            await trio.sleep(0.01)
        async with open_socket(port) as again:
            await again.send(type="watch")
            await said(again, "ready")


async def test_pages_of_another_origin_are_not_let_in():
    async with serving() as (_, port):
        with pytest.raises(trio.EndOfChannel):
            async with open_socket(port, origin="http://elsewhere.example"):
                pass
        async with open_socket(port, origin=f"http://127.0.0.1:{port}") as socket:
            await said(socket, "room")


async def test_the_pages_come_with_their_policy():
    def get(path):
        try:
            answer = urllib.request.urlopen(f"http://127.0.0.1:{port}{path}")
        except urllib.error.HTTPError as error:
            return error.code, error.headers, b""
        return answer.status, answer.headers, answer.read()

    async with serving() as (_, port), open_socket(port) as socket:
        await socket.send(type="publish", **publish())
        await said(socket, "answer")
        for path, content in (
            ("/", b"<!doctype html>"),
            ("/publish", b"publish.js"),
            ("/watch", b"watch.js"),
            ("/static/style.css", b"color-scheme"),
            ("/metrics", b"trio_allocator_connections"),
            ("/debug", b'"name":"Ada"'),
        ):
            status, headers, body = await trio.to_thread.run_sync(get, path)
            assert status == 200
            assert content in body
            assert "script-src 'self'" in headers["content-security-policy"]
        for path in ("/elsewhere", "/static/../room.py", "/static/%2e%2e/room.py"):
            assert (await trio.to_thread.run_sync(get, path))[0] == 404
