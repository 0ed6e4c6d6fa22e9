/** The box in which one writes. */

import { Attachments, uploaded } from "./attachments.js";
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
    const { box } = this;
    const changed = () => this.#onChange();
    this.attached = new Attachments({ pane: place.closest(".pane"), box, changed });
    const { list, input, button: attach } = this.attached;
    const row = element("div", { class: "composer-row" }, attach, input, box, this.button);
    this.form = element("form", { class: "composer" }, list, row);
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
    this.attached.show(this.#place());
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
    const files = this.attached.take();
    if (!text && !files.length) return;
    this.#set("");
    keepDraft(this.#place(), "");
    try {
      await this.#say(text, files);
    } catch (error) {
      toast(error.message);
      if (!this.box.value) this.fill(text);
      this.attached.giveBack(files);
    }
  }

  async #say(text, files) {
    const { channel, thread_ts: threadTs } = this.where();
    const { me } = view;
    const ids = await uploaded(me, files);
    const more = { ...(threadTs && { thread_ts: threadTs }), ...(ids.length && { files: ids }) };
    const { ts } = await deed("say", { user: me, channel, text, ...more });
    if (channel === view.channel) this.sent(ts, text);
  }

  #set(text) {
    this.box.value = text;
    this.#onChange();
    this.completion.close();
    this.fit();
  }

  #onChange() {
    this.button.disabled = !this.box.value.trim() && !this.attached.files.length;
  }

  #onInput() {
    this.#onChange();
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
