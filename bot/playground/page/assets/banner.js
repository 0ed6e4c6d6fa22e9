/** The line at the top that says what is missing: the page's server, or the bot. */

import { attempt } from "./deeds.js";
import { byId } from "./dom.js";
import { on, state } from "./store.js";

let isOnline = true;

/** Shows the banner when it is needed. */
export function startBanner() {
  on("line", (isOn) => {
    isOnline = isOn;
    show();
  });
  on("everything", show);
  on("bot", show);
  byId("restart").addEventListener("click", () => attempt("restart"));
}

function show() {
  const words = isOnline ? botWords() : "Reconnecting to the playground…";
  byId("banner").hidden = !words;
  byId("banner-text").textContent = words;
  byId("restart").hidden = !isOnline || state.bot?.state !== "gone";
}

function botWords() {
  if (!state.bot) return "";
  const { name, state: now, why } = state.bot;
  return {
    gone: `${name} has ended. ${why}`.trim(),
    disconnected: `${name} has lost its connection to Slack.`,
  }[now] ?? "";
}
