// The WebSocket to the server: one for each page, JSON both ways.

/** Open it; `handlers` has a function for each type of message, and `closed`. */
export function openSocket(handlers) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/socket`);
  const waiting = [];
  socket.onopen = () => { for (const text of waiting.splice(0)) socket.send(text); };
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    handlers[message.type]?.(message);
  };
  socket.onclose = () => handlers.closed?.();
  return {
    send(type, content = {}) {
      const text = JSON.stringify({ type, ...content });
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
      else waiting.push(text);
    },
    close() { socket.close(); },
  };
}

/** A rate in words. */
export function rate(bits) {
  if (bits === null || bits === undefined) return "unknown";
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(2)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`;
}

/** Say how it is; `isBad` for what went wrong. */
export function say(text, isBad = false) {
  const status = document.getElementById("status");
  status.textContent = text;
  status.classList.toggle("bad", isBad);
}
