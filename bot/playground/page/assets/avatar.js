/** A person's picture: initials in a square of a colour of its own. */

import { element } from "./dom.js";
import { nameOf, state } from "./store.js";

const COLOURS = 8;

/** The picture of a person; the name always stands beside it, so it is silent. */
export function avatar(user, className = "avatar") {
  const isBot = user === state.bot.id;
  const colour = isBot ? "bot" : String(hash(user) % COLOURS);
  const words = isBot ? "◆" : initials(nameOf(user));
  return element("span", { class: className, "data-colour": colour, "aria-hidden": "true" }, words);
}

/** "APP", "Admin" or "Guest" beside a name, or nothing. */
export function badge(user) {
  const role = user === state.bot.id ? "app" : state.people.get(user)?.role;
  const words = { app: "APP", admin: "Admin", guest: "Guest" }[role];
  return words ? element("span", { class: "badge", "data-role": role }, words) : null;
}

function initials(name) {
  const [first = "?", second] = name.split(/\s+/).filter(Boolean);
  return (second ? first[0] + second[0] : first.slice(0, 1)).toUpperCase();
}

function hash(text) {
  return [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7);
}
