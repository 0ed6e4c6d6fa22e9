/** Says what happened: to screen readers in a few words, on the screen where it went wrong. */

import { byId, element } from "./dom.js";
import { messageAt, nameOf, on, state, statusOf } from "./store.js";
import { isVisible, view } from "./view.js";

const TOAST_MS = 6000;
// An answer that did not change for so long, without a status line, is finished.
const STILL_MS = 2500;

const timers = new Map();

/** Listens to what is worth saying. */
export function startAnnouncer() {
  on("message", ({ value, isNew }) => {
    if (value.channel !== view.channel || !isVisible(value) || value.user === view.me) return;
    if (value.user === state.bot.id) awaitStandstill(value.channel, value.thread_ts ?? value.ts);
    else if (isNew) announce(`${nameOf(value.user)}: ${value.text}`);
  });
  on("status", ({ value }) => {
    if (value.channel !== view.channel) return;
    if (value.text) announce(`${state.bot.name} ${value.text}`);
    else if (messageAt(value.channel, value.thread_ts)?.replies) {
      awaitStandstill(value.channel, value.thread_ts);
    }
  });
}

/** Shows a sentence for a while; it is also read out. */
export function toast(sentence) {
  const shown = element("p", { class: "toast" }, sentence);
  byId("toasts").append(shown);
  setTimeout(() => shown.remove(), TOAST_MS);
}

/** Read out politely by screen readers, after what was announced before. */
export function announce(words) {
  const line = element("p", {}, words);
  byId("announcer").append(line);
  setTimeout(() => line.remove(), TOAST_MS);
}

function awaitStandstill(channel, threadTs) {
  const key = `${channel}/${threadTs}`;
  clearTimeout(timers.get(key));
  const check = () => {
    timers.delete(key);
    if (!statusOf(channel, threadTs)) announce(`${state.bot.name} replied`);
  };
  timers.set(key, setTimeout(check, STILL_MS));
}
