/** Suggestions while one writes: people after "@", channels after "#", emoji, commands. */

import { avatar } from "./avatar.js";
import { element, icon } from "./dom.js";
import { EMOJI } from "./emoji.js";
import { state } from "./store.js";
import { currentChannel } from "./view.js";

const MOST = 8;
const WORD = /(^|[\s(])([@#:])([\p{L}\p{N}._+-]*)$/u;
const COMMAND = /^\/(\S*)$/;

let lists = 0;

export class Completion {
  constructor(box) {
    this.box = box;
    this.options = [];
    this.list = element("ul", {
      id: `suggestions-${++lists}`, class: "menu suggestions", role: "listbox",
      "aria-label": "Suggestions", hidden: true,
    });
    box.setAttribute("aria-autocomplete", "list");
    box.setAttribute("aria-controls", this.list.id);
    box.addEventListener("input", () => this.#suggest());
    box.addEventListener("blur", () => this.close());
  }

  /** Whether the key was for the suggestions. */
  takesKey(event) {
    if (this.list.hidden) return false;
    if (event.key === "Enter" && this.#isCommand()) {
      this.close();
      return false;
    }
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) this.#mark(this.at + steps[event.key]);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Enter" || event.key === "Tab") this.#choose(this.options[this.at]);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  close() {
    this.list.hidden = true;
    this.box.removeAttribute("role");
    this.box.removeAttribute("aria-expanded");
    this.box.removeAttribute("aria-activedescendant");
  }

  /** Whether the command is already typed to its end, and Enter sends it. */
  #isCommand() {
    return COMMAND.test(this.box.value) && this.options[this.at].text === this.box.value;
  }

  #suggest() {
    this.options = suggestionsFor(this.box.value.slice(0, this.box.selectionStart)).slice(0, MOST);
    if (!this.options.length) {
      this.close();
      return;
    }
    this.list.replaceChildren(...this.options.map((option, at) => this.#item(option, at)));
    this.list.hidden = false;
    this.box.setAttribute("role", "combobox");
    this.box.setAttribute("aria-expanded", "true");
    this.#mark(0);
  }

  #item(option, at) {
    const item = element(
      "li", { id: `${this.list.id}-${at}`, role: "option", class: "menu-item" },
      option.picture, element("span", { class: "menu-name" }, option.label),
      option.hint ? element("span", { class: "quiet" }, option.hint) : null,
    );
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.#choose(option);
    });
    return item;
  }

  #mark(at) {
    this.at = (at + this.options.length) % this.options.length;
    [...this.list.children].forEach((item, index) => {
      item.setAttribute("aria-selected", String(index === this.at));
    });
    this.box.setAttribute("aria-activedescendant", `${this.list.id}-${this.at}`);
    this.list.children[this.at].scrollIntoView({ block: "nearest" });
  }

  #choose({ text, length }) {
    const end = this.box.selectionStart;
    this.box.setRangeText(`${text} `, end - length, end, "end");
    this.close();
    this.box.dispatchEvent(new Event("input"));
  }
}

/** What could follow the text before the caret: its words, and how much they replace. */
function suggestionsFor(before) {
  const command = COMMAND.exec(before);
  if (command) return commands(command[1]);
  const [, , sign, word] = WORD.exec(before) ?? [];
  if (sign === undefined || (sign === ":" && word.length < 2)) return [];
  const length = word.length + 1;
  return { "@": people, "#": channels, ":": emoji }[sign](word.toLowerCase())
    .map((option) => ({ ...option, length }));
}

function people(word) {
  const members = currentChannel()?.members ?? [];
  const rank = ({ id }) => (id === state.bot.id ? 0 : members.includes(id) ? 1 : 2);
  return [...everyone().values()]
    .filter(({ name, role }) => role !== "crowd" && name.toLowerCase().startsWith(word))
    .sort((one, other) => rank(one) - rank(other))
    .map((person) => ({
      text: `@${person.name}`,
      label: person.name,
      hint: members.includes(person.id) ? "" : "Not in this channel",
      picture: avatar(person.id, "avatar small"),
    }));
}

function everyone() {
  const bot = { id: state.bot.id, name: state.bot.name, role: "app" };
  return new Map([[bot.id, bot], ...state.people]);
}

function channels(word) {
  return [...state.channels.values()]
    .filter(({ kind, name }) => kind === "channel" && name.startsWith(word))
    .map(({ name }) => ({ text: `#${name}`, label: name, picture: icon("hash") }));
}

function emoji(word) {
  return [...EMOJI]
    .filter(([name]) => name.startsWith(word))
    .map(([name, character]) => ({
      text: `:${name}:`,
      label: `:${name}:`,
      picture: element("span", { class: "glyph-emoji" }, character),
    }));
}

function commands(word) {
  return state.commands
    .filter(({ command }) => command.startsWith(`/${word}`))
    .map(({ command, hint, description }) => ({
      text: command,
      label: [command, hint].filter(Boolean).join(" "),
      hint: description,
      picture: element("span", { class: "slash" }, "/"),
      length: word.length + 1,
    }));
}
