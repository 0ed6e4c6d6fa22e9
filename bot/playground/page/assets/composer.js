/** The box in which one writes. */

import { autosize } from "./autosize.js";
import { Completion } from "./completion.js";
import { deed } from "./deeds.js";
import { element, icon } from "./dom.js";
import { toast } from "./announcer.js";
import { draftOf, keepDraft, view } from "./view.js";

export class Composer {
  /**
   * @param {HTMLElement} place
   * @param {object} options
   * @param {string} options.id of the text box
   * @param {() => {channel: string, thread_ts: string | null}} options.where
   * @param {(ts: string | null, text: string) => void} options.sent
   * @param {() => void} options.editLast
   */
  constructor(place, { id, where, sent, editLast }) {
    Object.assign(this, { where, sent, editLast });
    this.box = element("textarea", { id, class: "composer-text", rows: "1", enterkeyhint: "send" });
    this.button = element(
      "button", { type: "submit", class: "send", "aria-label": "Send", title: "Send" },
      icon("send"),
    );
    this.form = element("form", { class: "composer" }, this.box, this.button);
    this.completion = new Completion(this.box);
    place.append(this.completion.list, this.form);
    this.fit = autosize(this.box);
    this.box.addEventListener("input", () => this.#onInput());
    this.box.addEventListener("keydown", (event) => this.#onKey(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  /** Shows the draft of the place that is now in view. */
  show(label) {
    this.box.placeholder = label;
    this.box.setAttribute("aria-label", label);
    this.#set(draftOf(this.#place()));
  }

  /** Puts words in, as if they had been typed. */
  fill(text) {
    this.#set(text);
    keepDraft(this.#place(), text);
    this.box.focus();
    this.box.setSelectionRange(text.length, text.length);
  }

  async #send() {
    const text = this.box.value.trim();
    if (!text) return;
    this.#set("");
    keepDraft(this.#place(), "");
    try {
      await this.#say(text);
    } catch (error) {
      toast(error.message);
      if (!this.box.value) this.fill(text);
    }
  }

  async #say(text) {
    const { channel, thread_ts: threadTs } = this.where();
    const details = { user: view.me, channel, text, ...(threadTs && { thread_ts: threadTs }) };
    const { ts } = await deed("say", details);
    if (channel === view.channel) this.sent(ts, text);
  }

  #set(text) {
    this.box.value = text;
    this.button.disabled = !text.trim();
    this.completion.close();
    this.fit();
  }

  #onInput() {
    this.button.disabled = !this.box.value.trim();
    keepDraft(this.#place(), this.box.value);
  }

  #onKey(event) {
    if (event.isComposing || this.completion.takesKey(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "ArrowUp" && !this.box.value) {
      event.preventDefault();
      this.editLast();
    }
  }

  #place() {
    const { channel, thread_ts: threadTs } = this.where();
    return `${view.me}/${channel}/${threadTs ?? ""}`;
  }
}
