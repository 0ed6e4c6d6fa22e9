/** The log of the wire: a line per event, call and request, with all details on demand. */

import { byId, element, stickToEnd } from "./dom.js";
import { wireParts } from "./deeds.js";
import { on, state } from "./store.js";
import { look, view } from "./view.js";

const KINDS = {
  event: "Events", command: "Commands", interaction: "Interactions", call: "Calls",
  model: "Model", socket: "Socket", log: "Bot's log",
};

const lines = new Map();

/** Shows the log and keeps it true. */
export function startLog() {
  stickToEnd(byId("log-scroller"), byId("log"));
  byId("kinds").append(...Object.entries(KINDS).map(([kind, words]) => filter(kind, words)));
  on("everything", showAll);
  on("row", ({ value }) => show(value));
  showKinds();
}

/** A new connection leaves the rows open that are still there. */
function showAll() {
  const opened = [...lines.values()].filter(({ details }) => details.open).map(({ id }) => id);
  lines.clear();
  byId("log").replaceChildren();
  for (const row of state.wire.values()) show(row);
  for (const id of opened) lines.get(id)?.open();
}

function filter(kind, words) {
  const button = element("button", { type: "button", class: "kind", "data-kind": kind }, words);
  button.addEventListener("click", () => {
    const others = view.hiddenKinds.filter((hidden) => hidden !== kind);
    const isHidden = others.length < view.hiddenKinds.length;
    look({ hiddenKinds: isHidden ? others : [...others, kind] });
    showKinds();
  });
  return button;
}

function showKinds() {
  for (const button of byId("kinds").children) {
    const isHidden = view.hiddenKinds.includes(button.dataset.kind);
    button.setAttribute("aria-pressed", String(!isHidden));
    byId("log").classList.toggle(`without-${button.dataset.kind}`, isHidden);
  }
}

function show(row) {
  byId("log-empty").hidden = true;
  if (!lines.has(row.id)) lines.set(row.id, new Line(row));
  lines.get(row.id).update(row);
  for (const [id, line] of lines) {
    if (state.wire.has(id)) break;
    line.node.remove();
    lines.delete(id);
  }
}

class Line {
  constructor({ id, kind }) {
    this.id = id;
    this.cells = ["at", "kind", "title", "about", "state"].map((name) =>
      element("span", { class: `line-${name}` }));
    this.parts = element("div", { class: "line-details" });
    this.details = element(
      "details", {}, element("summary", {}, ...this.cells), this.parts,
    );
    this.node = element(
      "li", { class: "line", "data-kind": kind, "data-row": id }, this.details,
    );
    this.details.addEventListener("toggle", () => this.#fetch());
    byId("log").append(this.node);
  }

  open() {
    this.details.open = true;
  }

  update({ at, kind, title, about, state: words, tone }) {
    const texts = [at.toFixed(2), kind, title, about, words];
    this.cells.forEach((cell, index) => {
      if (cell.textContent !== texts[index]) cell.textContent = texts[index];
    });
    this.node.dataset.tone = tone;
    if (tone !== "busy") this.#fetch();
  }

  /** Only what is open is asked for. */
  async #fetch() {
    if (!this.details.open) return;
    try {
      const parts = await wireParts(this.id);
      this.parts.replaceChildren(...parts.flatMap(({ title, text }) => [
        element("h4", {}, title), element("pre", { tabindex: "0" }, text),
      ]));
    } catch (error) {
      this.parts.replaceChildren(element("p", { class: "error" }, error.message));
    }
  }
}
