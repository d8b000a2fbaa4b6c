// Watches everybody who publishes, over one connection, and shows what the allocator does with it.
import { Chart } from "./chart.js";
import { openSocket, rate, say } from "./socket.js";
import { Tile } from "./tile.js";

const $ = (id) => document.getElementById(id);
const SHOWN = 200; // decisions
const chart = new Chart($("chart"), $("legend"));
let session = null;

class Session {
  constructor() {
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.tiles = new Map(); // by the publication's id
    this.room = [];
    this.isReady = false;
    this.tracks = new Map(); // transceiver to track id
    this.turn = Promise.resolve(); // one negotiation after the other
    this.answered = null;
    this.begin = null;
    this.connection.onconnectionstatechange = () => {
      if (this.connection.connectionState === "failed") this.fail("The connection failed.");
    };
    this.socket = openSocket({
      room: ({ publications }) => { this.room = publications; this.update(); },
      ready: ({ link }) => { this.isReady = true; showLink(link); this.update(); },
      answer: ({ sdp }) => this.answered?.(sdp),
      state: (state) => this.show(state),
      decision: (decision) => this.decided(decision),
      error: ({ message }) => say(message, true),
      ended: ({ reason }) => this.fail(`The connection ended: ${reason}.`),
      closed: () => this.fail("The server is gone."),
    });
    this.socket.send("watch");
  }

  /** Watch those who are there now, and nobody else. */
  update() {
    if (!this.isReady) return;
    const count = this.room.length;
    say(count ? `Watching ${count === 1 ? "one publication" : `${count} publications`}.` : "Nobody publishes yet.");
    this.turn = this.turn.then(() => this.negotiate()).catch((error) => this.fail(error));
  }

  async negotiate() {
    if (session !== this) return;
    const wanted = new Map(this.room.flatMap(({ tracks }) => tracks.map((track) => [track.id, track])));
    let isChanged = false;
    for (const [transceiver, id] of this.tracks) {
      if (wanted.has(id)) { wanted.delete(id); continue; }
      this.tracks.delete(transceiver);
      transceiver.direction = "inactive";
      isChanged = true;
    }
    for (const id of this.tiles.keys()) {
      if (!this.room.some((publication) => publication.id === id)) this.remove(id);
    }
    for (const { id, kind } of wanted.values()) {
      const medium = kind === "audio" ? "audio" : "video";
      const idle = this.connection.getTransceivers().find((each) =>
        each.direction === "inactive" && each.receiver.track.kind === medium && !this.tracks.has(each));
      const transceiver = idle ?? this.connection.addTransceiver(medium, { direction: "recvonly" });
      transceiver.direction = "recvonly";
      this.tracks.set(transceiver, id);
      this.tile(id).attach(transceiver.receiver.track);
      isChanged = true;
    }
    if (!isChanged) return;
    await this.connection.setLocalDescription();
    const tracks = Object.fromEntries([...this.tracks].map(([{ mid }, id]) => [mid, id]));
    const answer = new Promise((resolve) => { this.answered = resolve; });
    this.socket.send("offer", { sdp: this.connection.localDescription.sdp, tracks });
    await this.connection.setRemoteDescription({ type: "answer", sdp: await answer });
  }

  tile(trackId) {
    const [id] = trackId.split("/");
    let tile = this.tiles.get(id);
    if (tile === undefined) {
      const publication = this.room.find((each) => each.id === id);
      tile = new Tile(publication, (track, wish) => this.socket.send("wish", { track, ...wish }), (staged) => this.stage(staged));
      this.tiles.set(id, tile);
      $("tiles").append(tile.element);
    }
    return tile;
  }

  remove(id) {
    this.tiles.get(id).element.remove();
    this.tiles.delete(id);
  }

  /** One tile is large and comes first, the others are small: nobody needs their best layer. */
  stage(staged) {
    for (const tile of this.tiles.values()) tile.setStage(staged);
  }

  show(state) {
    chart.add(state);
    this.begin ??= state.time;
    figures({
      Estimate: rate(state.estimate),
      Allocated: rate(state.committed),
      "Held down by": state.limit,
      "Round trip": state.rtt === null ? "unknown" : `${Math.round(1000 * state.rtt)} ms`,
      Queue: `${Math.round(1000 * (state.queue_delay ?? 0))} ms`,
      Lost: `${(100 * (state.loss ?? 0)).toFixed(1)} %`,
    });
    for (const tile of this.tiles.values()) tile.show(state.tracks);
  }

  decided({ time, words }) {
    this.begin ??= time;
    const item = document.createElement("li");
    const clock = document.createElement("time");
    clock.textContent = `${Math.max(0, time - this.begin).toFixed(1)} s `;
    item.append(clock, words);
    $("decisions").prepend(item);
    while ($("decisions").children.length > SHOWN) $("decisions").lastChild.remove();
  }

  close() {
    if (session === this) session = null;
    this.socket.close();
    this.connection.close();
    for (const id of [...this.tiles.keys()]) this.remove(id);
    chart.clear();
    $("link").disabled = true;
    $("join").hidden = false;
    $("leave").hidden = true;
  }

  fail(error) {
    if (session !== this) return;
    this.close();
    say(`${error?.message ?? error} Join again when you like.`, true);
  }
}

function figures(values) {
  const list = $("figures");
  if (list.children.length === 0) {
    for (const name of Object.keys(values)) {
      const box = document.createElement("div");
      box.append(document.createElement("dt"), document.createElement("dd"));
      box.firstChild.textContent = name;
      list.append(box);
    }
  }
  Object.values(values).forEach((text, index) => { list.children[index].lastChild.textContent = text; });
}

// --- the emulated link ---------------------------------------------------------------------------

const SLIDERS = {
  rate: { read: (v) => 10 ** v, write: (v) => Math.log10(v), words: rate },
  delay: { read: (v) => v / 1000, write: (v) => 1000 * v, words: (v) => `${Math.round(1000 * v)} ms` },
  loss: { read: (v) => v / 100, write: (v) => 100 * v, words: (v) => `${(100 * v).toFixed(1)} %` },
};

function showLink(settings) {
  $("link").disabled = settings === null;
  if (settings === null) return;
  for (const [name, { write, words }] of Object.entries(SLIDERS)) {
    $(name).value = write(settings[name]);
    $(`${name}-shown`).textContent = words(settings[name]);
  }
}

function turn(name, value) { session?.socket.send("link", { name, value }); }

for (const [name, { read, words }] of Object.entries(SLIDERS)) {
  $(name).oninput = () => { $(`${name}-shown`).textContent = words(read(+$(name).value)); };
  $(name).onchange = () => turn(name, read(+$(name).value));
}
$("do-pause").onclick = () => turn("pause", 0.5);
$("do-cut").onclick = () => turn("cut", 5);
$("do-longer").onclick = () => {
  $("delay").value = Math.min(+$("delay").max, +$("delay").value + 50);
  $("delay").oninput();
  $("delay").onchange();
};

// --- coming and going ----------------------------------------------------------------------------

$("join").onclick = () => {
  if (session !== null) return;
  $("join").hidden = true;
  $("leave").hidden = false;
  $("decisions").replaceChildren();
  say("Connecting …");
  session = new Session();
};
$("leave").onclick = () => {
  session?.close();
  say("Left. Press Join to come back.");
};
