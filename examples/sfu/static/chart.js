// The moving chart: what is sent, stacked, below the estimate and the capacity of the link.
import { rate } from "./socket.js";

const SPAN = 60; // seconds
const STACKED = ["media", "repeated", "padding"];
const NAMES = {
  media: "media", repeated: "sent again", padding: "padding", estimate: "estimate", capacity: "capacity",
};

export class Chart {
  constructor(canvas, legend) {
    this.canvas = canvas;
    this.points = [];
    legend.replaceChildren(...Object.entries(NAMES).map(([name, text]) => {
      const item = document.createElement("li");
      item.innerHTML = '<svg viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" rx="2"/></svg>';
      item.querySelector("rect").style.fill = `var(--${name})`;
      item.append(text);
      return item;
    }));
    addEventListener("resize", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() { this.points = []; this.draw(); }

  add(state) {
    const { time, estimate, sent, link } = state;
    const media = sent.media + sent.audio;
    this.points.push({ time, estimate, media, repeated: sent.repeated, padding: sent.padding, capacity: link?.rate });
    this.points = this.points.filter((point) => point.time > time - SPAN);
    this.canvas.setAttribute("aria-label",
      `Estimate ${rate(estimate)}, media ${rate(media)}, sent again ${rate(sent.repeated)}, padding ${rate(sent.padding)}`);
    this.draw();
  }

  draw() {
    const { canvas, points } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const left = 44, bottom = height - 4, top = 8;
    const most = Math.max(400_000, ...points.map((p) => 1.1 * Math.max(
      p.estimate, p.media + p.repeated + p.padding, Math.min(p.capacity ?? 0, 2 * p.estimate))));
    const newest = points.at(-1)?.time ?? 0;
    const x = (time) => left + (width - left) * (1 - (newest - time) / SPAN);
    const y = (bits) => bottom - (bottom - top) * Math.min(bits / most, 1);
    this.scale(pen, most, { left, width, y, colour, style });
    const base = points.map(() => 0);
    for (const name of STACKED) {
      pen.beginPath();
      points.forEach((p, i) => pen.lineTo(x(p.time), y(base[i] + p[name])));
      for (let i = points.length - 1; i >= 0; i--) pen.lineTo(x(points[i].time), y(base[i]));
      pen.fillStyle = colour(name);
      pen.globalAlpha = 0.75;
      pen.fill();
      pen.globalAlpha = 1;
      points.forEach((p, i) => { base[i] += p[name]; });
    }
    this.line(pen, points, "capacity", { x, y, colour, dash: [5, 4] });
    this.line(pen, points, "estimate", { x, y, colour, dash: [] });
  }

  scale(pen, most, { left, width, y, colour, style }) {
    const step = [1e5, 2e5, 5e5, 1e6, 2e6, 5e6].find((each) => most / each <= 5) ?? 1e7;
    pen.font = `11px ${style.fontFamily}`;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let bits = 0; bits < most; bits += step) {
      pen.strokeStyle = colour("line");
      pen.beginPath();
      pen.moveTo(left, y(bits));
      pen.lineTo(width, y(bits));
      pen.stroke();
      pen.fillStyle = colour("quiet");
      pen.fillText(bits ? `${bits / 1e6} M` : "0", left - 6, y(bits) - (bits ? 0 : 4));
    }
  }

  line(pen, points, name, { x, y, colour, dash }) {
    pen.beginPath();
    for (const point of points) if (point[name]) pen.lineTo(x(point.time), y(point[name]));
    pen.setLineDash(dash);
    pen.lineWidth = 2;
    pen.strokeStyle = colour(name);
    pen.stroke();
    pen.setLineDash([]);
  }
}
