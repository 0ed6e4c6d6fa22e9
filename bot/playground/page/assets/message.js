/** One message on the screen; `update` touches only the parts that changed. */

import { avatar, badge } from "./avatar.js";
import { shortTimeOf, timeOf, wholeTimeOf } from "./clock.js";
import { ask } from "./confirm.js";
import { attempt } from "./deeds.js";
import { element, icon, iconButton, parsed, textButton } from "./dom.js";
import { openEditor } from "./editor.js";
import { pickEmoji } from "./emoji.js";
import { morph } from "./morph.js";
import { nameOf, state, statusOf } from "./store.js";
import { view } from "./view.js";

const FACES = 4; // shown of those who replied
const GROUPED_FOR = 300; // seconds

// What Tab stops at within a message.
const STOPS = "a, button, summary, input, select, textarea, [tabindex]";
// What "(edited)" may stand in, behind the last word.
const FRAMES = ".markdown, .rich-text, .section, .section-text, .plain";
const KEYS = {
  r: "Add a reaction", t: "Reply in thread", e: "Edit message", Delete: "Delete message",
};

let rows = 0;

export class MessageRow {
  /** @param {((ts: string) => void) | null} openThread null where the thread is already open */
  constructor(message, { openThread }) {
    const id = `message-${++rows}`;
    this.openThread = openThread;
    this.drawn = {}; // what each part shows now
    this.day = element("div", { class: "day", hidden: true }, element("span"));
    this.note = element("p", { class: "note", hidden: true }, icon("eye"), "Only visible to you");
    this.head = headOf(message, `${id}-head`);
    this.body = element("div", { class: "message-body kit", id: `${id}-body` });
    this.edited = element("span", { class: "edited", hidden: true }, " (edited)");
    this.reactions = labelled("reactions", "group", "Reactions");
    this.replies = element("div", { class: "replies" });
    this.toolbar = labelled("toolbar", "toolbar", "Message actions");
    this.node = element(
      "article",
      {
        class: "message", tabindex: "-1", "data-channel": message.channel, "data-ts": message.ts,
        "aria-labelledby": this.head.id, "aria-describedby": this.body.id,
      },
      this.day, this.#row(message),
    );
    this.node.addEventListener("keydown", (event) => this.#onKey(event));
    this.update(message);
  }

  /** Shows the message as it is now. */
  update(message) {
    this.message = message;
    this.note.hidden = message.reader == null;
    this.edited.hidden = !message.edited || message.deleted;
    this.node.classList.toggle("ephemeral", message.reader != null);
    this.node.classList.toggle("deleted", message.deleted);
    this.node.classList.toggle("streaming", message.streaming);
    const body = `${message.deleted} ${message.html}`;
    if (!this.isEditing) this.#draw("body", body, () => this.#drawBody());
    this.#draw("reactions", JSON.stringify(message.reactions), () => this.#drawReactions());
    this.#draw("tools", message.deleted, () => this.#drawTools());
    this.updateReplies();
  }

  /** Shows how many replies there are, and that one is being written. */
  updateReplies() {
    if (!this.openThread) return;
    const { channel, ts, replies } = this.message;
    const status = statusOf(channel, ts)?.text ?? "";
    this.#draw("replies", JSON.stringify([replies, status]), () => this.#drawReplies(status));
  }

  /** Whether it continues what the same person wrote before, and which divider stands above. */
  arrange({ follows, divider }) {
    this.node.classList.toggle("follows", follows);
    this.#draw("divider", divider, () => {
      this.day.hidden = !divider;
      this.day.firstChild.textContent = divider ?? "";
    });
  }

  /** Tab stops at this message and at what stands in it; it goes past the others. */
  reach({ isReached }) {
    this.node.tabIndex = isReached ? 0 : -1;
    this.#reachStops();
  }

  #reachStops() {
    for (const stop of this.node.querySelectorAll(STOPS)) stop.tabIndex = this.node.tabIndex;
  }

  /** Puts a text box in place of the message. */
  edit() {
    if (this.isEditing) return;
    this.isEditing = true;
    openEditor(this.body, this.message.text, {
      save: (text) => this.#save(text),
      cancel: () => this.#endEdit(),
    });
  }

  /** Without any text left, the message itself may go. */
  async #save(text) {
    const { channel, ts } = this.message;
    const isSaved = text === this.message.text
      || await (text ? attempt("edit", { user: view.me, channel, ts, text }) : this.#delete());
    if (isSaved) this.#endEdit();
  }

  #endEdit() {
    this.isEditing = false;
    this.#drawBody();
    this.#reachStops();
    this.node.focus();
  }

  async #delete() {
    const { channel, ts } = this.message;
    const answer = await ask({
      title: "Delete message", text: "Are you sure you want to delete this message?",
      confirm: "Delete", deny: "Cancel", style: "danger",
    });
    return answer && attempt("delete", { user: view.me, channel, ts });
  }

  #react(name) {
    const { channel, ts } = this.message;
    return attempt("react", { user: view.me, channel, ts, name });
  }

  #shortcut(id) {
    const { channel, ts } = this.message;
    return attempt("shortcut", { user: view.me, channel, ts, callback_id: id });
  }

  #draw(part, value, draw) {
    if (this.drawn[part] === value) return;
    this.drawn[part] = value;
    draw();
    this.#reachStops();
  }

  #drawBody() {
    const { deleted, html } = this.message;
    const tombstone = element("p", { class: "tombstone" }, "This message was deleted.");
    this.edited.remove(); // no part of what the server rendered
    if (deleted) this.body.replaceChildren(tombstone);
    else morph(this.body, parsed(html));
    const paragraph = lastParagraph(this.body);
    if (paragraph) paragraph.append(this.edited);
    else this.body.after(this.edited);
    for (const sign of this.body.querySelectorAll("[data-visible-to]")) {
      sign.hidden = !sign.dataset.visibleTo.split(" ").includes(view.me);
    }
  }

  #drawReactions() {
    this.reactions.hidden = !this.message.reactions.length;
    this.reactions.replaceChildren(...this.message.reactions.map(({ name, emoji, people }) => {
      const who = people.map(nameOf).join(", ");
      const pill = textButton("", "reaction", () => this.#react(name));
      pill.setAttribute("aria-pressed", String(people.includes(view.me)));
      pill.setAttribute("aria-label", `:${name}: ${people.length}, by ${who}`);
      pill.title = `${who} reacted with :${name}:`;
      pill.append(element("span", { class: "glyph-emoji" }, emoji), String(people.length));
      return pill;
    }));
  }

  #drawTools() {
    const { deleted, user, reader } = this.message;
    const tools = [];
    if (!deleted && reader == null) {
      tools.push(iconButton("Add a reaction", "smile", (event) => {
        const choose = (name) => this.#react(name);
        pickEmoji(event.currentTarget, { home: this.node, choose });
      }));
    }
    if (this.openThread && reader == null) {
      tools.push(iconButton("Reply in thread", "reply", () => this.openThread(this.message.ts)));
    }
    if (!deleted && reader == null) {
      for (const { name, callback_id: id } of state.shortcuts) {
        tools.push(iconButton(name, "ask", () => this.#shortcut(id)));
      }
    }
    if (!deleted && user === view.me && reader == null) {
      tools.push(iconButton("Edit message", "edit", () => this.edit()));
      tools.push(iconButton("Delete message", "delete", () => this.#delete()));
    }
    this.toolbar.hidden = !tools.length;
    this.toolbar.replaceChildren(...tools);
  }

  #drawReplies(status) {
    const { ts, replies } = this.message;
    const parts = [];
    if (replies?.count) {
      const faces = replies.people.slice(0, FACES).map((id) => avatar(id, "avatar tiny"));
      const button = textButton("", "replies-button", () => this.openThread(ts));
      button.append(
        element("span", { class: "faces" }, ...faces),
        element("strong", {}, countOf(replies.count)),
        element("span", { class: "quiet" }, `Last reply ${timeOf(replies.latest)}`),
      );
      parts.push(button);
    }
    const line = element("span", { class: "replies-status" }, `${state.bot.name} ${status}`);
    this.replies.replaceChildren(...parts, ...(status ? [line] : []));
  }

  #row(message) {
    const parts = [this.note, this.head, this.body, this.reactions, this.replies];
    const time = timeIn("gutter-time", message.ts, shortTimeOf);
    return element(
      "div", { class: "message-row" },
      element("div", { class: "gutter" }, avatar(message.user), time),
      element("div", { class: "message-content" }, ...parts),
      this.toolbar,
    );
  }

  /** Letters act only while the message itself has the focus. */
  #onKey(event) {
    if (event.target !== this.node || event.ctrlKey || event.metaKey || event.altKey) return;
    const label = KEYS[event.key];
    const tool = label && this.toolbar.querySelector(`[aria-label="${label}"]`);
    if (!tool) return;
    event.preventDefault();
    tool.click();
  }
}

/** Whether two messages stand together under one name. */
export function follows(message, previous) {
  return Boolean(previous)
    && previous.user === message.user
    && !previous.deleted
    && !message.deleted
    && (previous.reader == null) === (message.reader == null)
    && message.ts - previous.ts < GROUPED_FOR;
}

/** "1 reply", "3 replies". */
export function countOf(count) {
  return count === 1 ? "1 reply" : `${count} replies`;
}

function labelled(className, role, label) {
  return element("div", { class: className, role, "aria-label": label });
}

function headOf({ user, ts }, id) {
  const name = element("strong", { class: "name" }, nameOf(user));
  return element("div", { class: "message-head", id }, name, badge(user), timeIn("time", ts));
}

function timeIn(className, ts, words = timeOf) {
  return element("time", { class: className, title: wholeTimeOf(ts) }, words(ts));
}

/** Where the last word of a message stands; null when that is in a table, a list or code. */
function lastParagraph(place) {
  const last = place.lastElementChild;
  if (last?.matches("p")) return last;
  if (last?.matches(FRAMES)) return lastParagraph(last);
  return place.matches(".plain, .section-text") ? place : null;
}
