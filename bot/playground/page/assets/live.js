/** The connection to the server: everything once, then the changes, again after each break. */

import { apply, replace, tell } from "./store.js";

const FIRST_WAIT = 500; // ms
const LONGEST_WAIT = 8000;

/** Connects, and connects again whenever the connection is lost. */
export function connect(wait = FIRST_WAIT) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/live`);
  let pause = wait;
  socket.addEventListener("message", ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type === "everything") {
      pause = FIRST_WAIT;
      tell("line", true);
      replace(frame);
    } else if (frame.type === "changes") {
      apply(frame.changes);
    }
  });
  socket.addEventListener("close", () => {
    tell("line", false);
    setTimeout(() => connect(Math.min(pause * 2, LONGEST_WAIT)), pause);
  });
}
