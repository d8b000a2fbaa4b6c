// One publication on the watching page: its video, its layers, and why it is as it is.
import { rate } from "./socket.js";

const NORMAL = 1, HIGH = 2;

export class Tile {
  /** `wish(track, what)` tells the server; `stage(id)` makes a tile the large one (null: none). */
  constructor(publication, wish, stage) {
    this.id = publication.id;
    this.video = publication.tracks.find(({ kind }) => kind !== "audio")?.id;
    this.audio = publication.tracks.find(({ kind }) => kind === "audio")?.id;
    this.wish = wish;
    this.element = document.getElementById("tile").content.firstElementChild.cloneNode(true);
    this.stream = new MediaStream();
    this.layers = "";
    this.names = [];
    this.player.srcObject = this.stream;
    this.player.setAttribute("aria-label", publication.name);
    this.part("who").textContent = `${publication.name}${publication.kind === "screen" ? "'s screen" : ""}`;
    this.part("mute").hidden = this.audio === undefined;
    if (this.audio !== undefined) wish(this.audio, { muted: true });
    this.part("stage").onclick = () => stage(this.element.classList.contains("staged") ? null : this.id);
    this.part("pause").onclick = () => this.pause();
    this.part("mute").onclick = () => this.mute();
    this.part("priority").onchange = (event) => wish(this.video, { priority: +event.target.value });
    this.part("pin").onchange = (event) => wish(this.video, { pin: event.target.value || null });
  }

  part(name) { return this.element.querySelector(`.${name}`); }

  get player() { return this.element.querySelector("video"); }

  attach(track) {
    for (const old of this.stream.getTracks()) if (old.kind === track.kind) this.stream.removeTrack(old);
    this.stream.addTrack(track);
  }

  pause() {
    const isPaused = this.element.classList.toggle("paused");
    this.part("pause").setAttribute("aria-pressed", String(isPaused));
    this.wish(this.video, { muted: isPaused });
  }

  mute() {
    this.player.muted = !this.player.muted;
    this.part("mute").setAttribute("aria-pressed", String(this.player.muted));
    this.wish(this.audio, { muted: this.player.muted });
  }

  setStage(staged) {
    const isStaged = staged === this.id;
    this.element.classList.toggle("staged", isStaged);
    this.part("stage").setAttribute("aria-pressed", String(isStaged));
    this.part("priority").value = isStaged ? HIGH : NORMAL;
    const middle = this.names[Math.max(0, this.names.length - 2)] ?? null;
    const target = staged === null || isStaged ? null : middle;
    this.wish(this.video, { priority: isStaged ? HIGH : NORMAL, target });
  }

  show(tracks) {
    const track = tracks.find(({ id }) => id === this.video);
    if (track === undefined) return;
    this.showLadder(track);
    const missing = track.next
      ? `; the next step, ${rate(track.next)}, ${track.lacks ? `lacks ${rate(track.lacks)}` : "waits"}: ${track.why}`
      : `: ${track.why ?? ""}`;
    this.part("why").textContent = `Has ${rate(track.allocation)}${missing}.`;
  }

  showLadder(track) {
    const layers = JSON.stringify([track.layers, track.layer, track.queued]);
    if (layers === this.layers) return;
    this.layers = layers;
    const names = track.layers.map(({ name }) => name);
    this.part("ladder").replaceChildren(...track.layers.map(({ name, bitrate, alive }) => {
      const item = document.createElement("li");
      item.textContent = `${name} ${rate(bitrate)}`;
      item.classList.toggle("dead", !alive);
      item.classList.toggle("flowing", name === track.layer);
      item.classList.toggle("waiting", name === track.queued);
      if (name === track.layer) item.setAttribute("aria-current", "true");
      return item;
    }));
    if (names.join() === this.names.join()) return;
    this.names = names;
    const pin = this.part("pin");
    pin.replaceChildren(pin.options[0], ...names.map((name) => new Option(`only ${name}`, name)));
  }
}
