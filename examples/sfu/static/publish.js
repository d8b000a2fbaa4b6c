// Publishes a camera with its microphone, or a screen: in layers, of which the server may turn off
// those that nobody takes.
import { openSocket, rate, say } from "./socket.js";

const LAYERS = {
  camera: [
    { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 120_000 },
    { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 400_000 },
    { rid: "f", maxBitrate: 1_250_000 },
  ],
  screen: [
    { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 300_000 },
    { rid: "f", maxBitrate: 1_500_000 },
  ],
};
const $ = (id) => document.getElementById(id);
let session = null;

$("name").value = localStorage.getItem("name") ?? `Guest ${Math.floor(Math.random() * 900) + 100}`;

function capture(kind) {
  if (kind === "screen") return navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 } });
  const video = { width: { ideal: 960 }, height: { ideal: 540 }, frameRate: { ideal: 30 } };
  return navigator.mediaDevices.getUserMedia({ audio: true, video });
}

/** VP8 first; with `?codec=h264` in the address, nothing but that: to see that it works, too. */
function chooseCodec(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities("video").codecs;
  const only = new URLSearchParams(location.search).get("codec");
  const is = (name) => ({ mimeType }) => mimeType.toLowerCase() === `video/${name}`;
  const chosen = codecs.filter(is(only ?? "vp8"));
  const others = codecs.filter(only === null ? (codec) => !chosen.includes(codec) : is("rtx"));
  transceiver.setCodecPreferences([...chosen, ...others]);
}

async function publish(kind, name) {
  const stream = await capture(kind);
  const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const encodings = LAYERS[kind];
  const [video] = stream.getVideoTracks();
  video.contentHint = kind === "screen" ? "detail" : "motion";
  const init = { direction: "sendonly", streams: [stream], sendEncodings: encodings };
  const transceiver = connection.addTransceiver(video, init);
  chooseCodec(transceiver);
  for (const track of stream.getAudioTracks()) {
    connection.addTransceiver(track, { direction: "sendonly", streams: [stream] });
  }
  let turn = Promise.resolve(); // one change of the parameters after the other
  const socket = openSocket({
    answer: ({ sdp }) => connection.setRemoteDescription({ type: "answer", sdp }),
    layers: ({ wanted }) => { turn = turn.then(() => send(transceiver.sender, wanted)).catch(fail); },
    error: ({ message }) => fail(message),
    ended: ({ reason }) => fail(`The server ended it: ${reason}.`),
    closed: () => fail("The server is gone."),
  });
  session = { stream, connection, socket, sender: transceiver.sender, wanted: null, seen: {} };
  $("preview").srcObject = stream;
  video.onended = stop;
  connection.onconnectionstatechange = () => {
    if (connection.connectionState === "connected") say(`Published as ${name}.`);
    if (connection.connectionState === "failed") fail("The connection to the server failed.");
  };
  await connection.setLocalDescription();
  const rates = Object.fromEntries(encodings.map(({ rid, maxBitrate }) => [rid, maxBitrate]));
  socket.send("publish", { sdp: connection.localDescription.sdp, name, kind, rates });
  session.timer = setInterval(showLayers, 1000);
}

/** Send those layers, and no others. */
async function send(sender, wanted) {
  if (session === null) return;
  session.wanted = wanted;
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings) encoding.active = wanted.includes(encoding.rid);
  await sender.setParameters(parameters);
}

async function showLayers() {
  if (session === null) return;
  const { sender, seen, wanted } = session;
  const rows = [];
  for (const report of (await sender.getStats()).values()) {
    if (report.type !== "outbound-rtp" || report.kind !== "video") continue;
    const name = report.rid ?? "only";
    const before = seen[name];
    seen[name] = { bytes: report.bytesSent, time: report.timestamp };
    const sent = before && report.timestamp > before.time
      ? (8000 * (report.bytesSent - before.bytes)) / (report.timestamp - before.time) : 0;
    const size = report.frameWidth ? `${report.frameWidth} × ${report.frameHeight}` : "–";
    rows.push([name, size, sent ? rate(sent) : "off", wanted === null || wanted.includes(name) ? "yes" : "nobody"]);
  }
  const order = sender.getParameters().encodings.map(({ rid }) => rid);
  rows.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  $("layers").replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    for (const text of cells) row.insertCell().textContent = text;
    return row;
  }));
}

function show(isPublished) {
  for (const id of ["stop", "mute", "pause"]) $(id).hidden = !isPublished;
  $("publish").hidden = isPublished;
  for (const input of document.querySelectorAll("#form input")) input.disabled = isPublished;
}

function stop() {
  if (session === null) return;
  const { stream, connection, socket, timer } = session;
  session = null;
  clearInterval(timer);
  socket.close();
  connection.close();
  for (const track of stream.getTracks()) track.stop();
  $("preview").srcObject = null;
  for (const id of ["mute", "pause"]) $(id).setAttribute("aria-pressed", "false");
  show(false);
  say("Not published.");
}

function fail(error) {
  if (session === null) return;
  stop();
  say(String(error?.message ?? error), true);
}

function toggle(id, tracks) {
  const isOff = $(id).getAttribute("aria-pressed") !== "true";
  $(id).setAttribute("aria-pressed", String(isOff));
  for (const track of tracks) track.enabled = !isOff;
}

$("form").onsubmit = async (event) => {
  event.preventDefault();
  if (session !== null) return;
  const name = $("name").value.trim() || "Guest";
  localStorage.setItem("name", name);
  show(true);
  say("Connecting …");
  try {
    await publish(document.querySelector("input[name=kind]:checked").value, name);
  } catch (error) {
    if (session !== null) fail(error);
    show(false);
    say(String(error?.message ?? error), true);
  }
};
$("stop").onclick = stop;
$("mute").onclick = () => toggle("mute", session?.stream.getAudioTracks() ?? []);
$("pause").onclick = () => toggle("pause", session?.stream.getVideoTracks() ?? []);
