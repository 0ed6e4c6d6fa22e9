/** The keys that work everywhere: F6 goes from part to part, "?" opens the help. */

import { byId } from "./dom.js";

const PARTS = [
  ["sidebar", '[aria-current="page"]'],
  ["messages", '.message[tabindex="0"]'],
  ["composer", "textarea"],
  ["thread", "textarea"],
  ["drawer", "#log-scroller"],
];

/** Listens to them. */
export function startKeys() {
  document.addEventListener("keydown", onKey);
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());
}

function onKey(event) {
  if (event.key === "F6") {
    event.preventDefault();
    move(event.shiftKey ? -1 : 1);
  } else if (event.key === "?" && !isTyping(event.target)) {
    if (!document.querySelector("dialog[open]")) byId("help").showModal();
  }
}

function move(step) {
  const stops = PARTS.map(([id, inner]) => [byId(id), byId(id).querySelector(inner)])
    .filter(([, stop]) => stop?.checkVisibility());
  const at = stops.findIndex(([part]) => part.contains(document.activeElement));
  const from = at < 0 && step < 0 ? 0 : at;
  stops.at((from + step) % stops.length)?.[1].focus();
}

function isTyping(target) {
  return target.matches("input, textarea, select, [contenteditable]");
}
