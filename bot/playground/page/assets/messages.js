/** A list of messages, keyed by their ts: a change of one touches no other. */

import { stickToEnd } from "./dom.js";
import { follows, MessageRow } from "./message.js";

export class MessageList {
  /**
   * @param {HTMLElement} place
   * @param {object} options
   * @param {(message: object, previous: object) => string | null} options.divider
   * @param {((ts: string) => void) | null} options.openThread
   */
  constructor(place, { scroller, latest, divider, openThread }) {
    this.place = place;
    this.divider = divider;
    this.openThread = openThread;
    this.rows = new Map();
    this.toEnd = stickToEnd(scroller, place, { latest });
    place.addEventListener("keydown", (event) => this.#onKey(event));
    place.addEventListener("focusin", ({ target }) => this.#rove(target.closest(".message")));
  }

  /** Shows other messages, from their end. */
  replace(messages) {
    this.rows.clear();
    this.place.replaceChildren();
    this.show(messages);
    this.toEnd();
  }

  /** Shows these messages, oldest first. */
  show(messages) {
    const known = new Set(messages.map(({ ts }) => ts));
    for (const ts of [...this.rows.keys()].filter((key) => !known.has(key))) this.#remove(ts);
    let place = this.place.firstChild;
    messages.forEach((message, at) => {
      const row = this.#rowOf(message);
      if (row.node === place) place = place.nextSibling;
      else this.place.insertBefore(row.node, place);
      const divider = this.divider(message, messages[at - 1]);
      row.arrange({ divider, follows: !divider && follows(message, messages[at - 1]) });
    });
    const isReachable = this.place.querySelector('.message[tabindex="0"]');
    if (!isReachable) this.#rove(this.place.lastElementChild);
  }

  /** The row of a message, or undefined. */
  row(ts) {
    return this.rows.get(ts);
  }

  #rowOf(message) {
    const row = this.rows.get(message.ts);
    if (!row) this.rows.set(message.ts, new MessageRow(message, this));
    else if (row.message !== message) row.update(message);
    return this.rows.get(message.ts);
  }

  #remove(ts) {
    const { node } = this.rows.get(ts);
    const neighbour = node.nextElementSibling ?? node.previousElementSibling;
    if (node.contains(document.activeElement)) neighbour?.focus();
    node.remove();
    this.rows.delete(ts);
  }

  /** One message of the list is reached with Tab, the others with the arrows. */
  #rove(message) {
    if (!message) return;
    const before = this.place.querySelector('.message[tabindex="0"]');
    if (before) this.rows.get(before.dataset.ts).reach({ isReached: false });
    this.rows.get(message.dataset.ts).reach({ isReached: true });
  }

  #onKey(event) {
    if (!event.target.matches(".message")) return;
    const { target } = event;
    const next = {
      ArrowUp: target.previousElementSibling,
      ArrowDown: target.nextElementSibling,
      Home: this.place.firstElementChild,
      End: this.place.lastElementChild,
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}
