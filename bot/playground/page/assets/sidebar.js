/** The side bar: the channels of the person in this window, and the menu of whom to speak as. */

import { avatar, badge } from "./avatar.js";
import { byId, element, icon } from "./dom.js";
import { popUp } from "./popup.js";
import { nameOf, on, state } from "./store.js";
import {
  channelsOf, isForMe, lookAt, markRead, speakAs, speakers, titleOf, unreadIn, view,
} from "./view.js";

const SECTIONS = [
  { title: "Channels", kinds: ["channel", "private"] },
  { title: "Direct messages", kinds: ["mpim"] },
  { title: "Apps", kinds: ["im"] },
];
const BOT_STATES = {
  starting: "The bot is starting…",
  connected: "The bot is connected",
  disconnected: "The bot is not connected",
  gone: "The bot has ended",
  away: "The playground is away",
};

const entries = new Map(); // by the channel's id
let sections = [];
let isOnline = true;

/** Shows the side bar and keeps it true. */
export function startSidebar() {
  sections = SECTIONS.map(section);
  for (const topic of ["everything", "people", "channels", "view"]) on(topic, show);
  on("bot", showBot);
  on("line", (isOn) => {
    isOnline = isOn;
    showBot();
  });
  on("message", ({ value, isNew }) => {
    if (value.channel === view.channel) markRead();
    if (isNew) showSections();
  });
  on("gone", showSections);
  byId("speak-as").addEventListener("click", openSpeakers);
  byId("sidebar-open").addEventListener("click", () => slide({ open: true }));
  byId("sidebar-close").addEventListener("click", () => slide({ open: false }));
  byId("sidebar-shade").addEventListener("click", () => slide({ open: false }));
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && isSlidOver()) slide({ open: false });
  });
}

function show() {
  showBot();
  showSections();
  byId("speak-as").replaceChildren(
    avatar(view.me),
    element(
      "span", { class: "speak-as-name" }, element("small", {}, "You speak as"), nameOf(view.me),
    ),
    badge(view.me) ?? "",
  );
  byId("speak-as").setAttribute("aria-label", `Speak as: ${nameOf(view.me)}`);
}

function showBot() {
  const now = isOnline ? state.bot?.state ?? "starting" : "away";
  byId("bot-state").textContent = BOT_STATES[now];
  byId("bot-state").dataset.state = now;
}

/** Entries stay as they are: one that vanished while it is pressed would lose the press. */
function showSections() {
  for (const { list, kinds } of sections) {
    const channels = channelsOf(view.me).filter(({ kind }) => kinds.includes(kind));
    const nodes = channels.map((channel) => entryOf(channel).node);
    list.parentElement.hidden = !nodes.length;
    for (const old of [...list.children]) if (!nodes.includes(old)) old.remove();
    nodes.forEach((node, at) => {
      if (list.children[at] !== node) list.insertBefore(node, list.children[at] ?? null);
    });
  }
}

/** Adds a section without entries. */
function section({ title, kinds }) {
  const id = `section-${title.split(" ")[0].toLowerCase()}`;
  const list = element("ul");
  const heading = element("h2", { id }, title);
  byId("sections").append(element("section", { "aria-labelledby": id }, heading, list));
  return { list, kinds };
}

/** The entry of a channel, as the channel is now. */
function entryOf(channel) {
  if (!entries.has(channel.id)) entries.set(channel.id, new Entry(channel));
  const entry = entries.get(channel.id);
  entry.update(channel);
  return entry;
}

class Entry {
  constructor(channel) {
    this.name = element("span", { class: "entry-name" });
    this.count = element("span", { class: "count" });
    this.unread = hidden(" unread");
    this.button = element(
      "button", { type: "button", class: "entry", "data-channel": channel.id },
      sign(channel), this.name, this.count, this.unread,
    );
    this.button.addEventListener("click", () => {
      slide({ open: false });
      if (channel.id !== view.channel) lookAt(channel.id);
    });
    this.node = element("li", {}, this.button);
  }

  /** Bold when there is something new; a number when that is for this person. */
  update(channel) {
    const isHere = channel.id === view.channel;
    const unread = isHere ? [] : unreadIn(channel.id);
    const isDirect = channel.kind === "im" || channel.kind === "mpim";
    const count = isDirect ? unread.length : unread.filter(isForMe).length;
    this.name.textContent = titleOf(channel);
    this.count.textContent = String(count);
    this.count.hidden = !count;
    this.unread.hidden = !unread.length;
    this.button.classList.toggle("unread", unread.length > 0);
    if (isHere) this.button.setAttribute("aria-current", "page");
    else this.button.removeAttribute("aria-current");
  }
}

function sign(channel) {
  if (channel.kind === "im") return avatar(state.bot.id, "avatar small");
  return icon({ channel: "hash", private: "lock", mpim: "crowd" }[channel.kind]);
}

function hidden(words) {
  return element("span", { class: "visually-hidden" }, words);
}

function openSpeakers() {
  const menu = byId("speak-as-menu");
  const close = popUp(menu, byId("speak-as"));
  menu.replaceChildren(...speakers().map(({ id, name }) => {
    const item = element(
      "button",
      {
        type: "button", role: "menuitemradio", class: "menu-item", "data-user": id,
        "aria-checked": String(id === view.me),
      },
      avatar(id, "avatar small"), element("span", { class: "menu-name" }, name), badge(id),
    );
    item.addEventListener("click", () => {
      close();
      speakAs(id);
    });
    return item;
  }));
  menu.querySelector('[aria-checked="true"]')?.focus();
}

function isSlidOver() {
  return document.body.classList.contains("sidebar-open");
}

/** On a phone the side bar lies over the page. */
function slide({ open }) {
  const wasOpen = isSlidOver();
  document.body.classList.toggle("sidebar-open", open);
  byId("sidebar-shade").hidden = !open;
  byId("sidebar-open").setAttribute("aria-expanded", String(open));
  if (open) byId("sections").querySelector("button")?.focus();
  else if (wasOpen) byId("sidebar-open").focus();
}
