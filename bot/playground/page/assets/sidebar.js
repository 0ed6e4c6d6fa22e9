/** The side bar: the channels of the person in this window, and the menu of whom to speak as. */

import { avatar, badge } from "./avatar.js";
import { byId, element, icon } from "./dom.js";
import { popUp } from "./popup.js";
import { nameOf, on, state } from "./store.js";
import {
  channelsOf, lookAt, markRead, speakAs, speakers, titleOf, unreadIn, view,
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
};

/** Shows the side bar and keeps it true. */
export function startSidebar() {
  for (const topic of ["everything", "people", "channels", "view"]) on(topic, show);
  on("bot", showBot);
  on("message", ({ value, isNew }) => {
    if (value.channel === view.channel) markRead();
    if (isNew) showSections();
  });
  on("gone", showSections);
  byId("speak-as").addEventListener("click", openSpeakers);
  byId("sidebar-open").addEventListener("click", () => slide({ open: true }));
  byId("sidebar-close").addEventListener("click", () => slide({ open: false }));
  byId("sidebar-shade").addEventListener("click", () => slide({ open: false }));
  byId("sidebar").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isSlidOver()) slide({ open: false });
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
  byId("bot-state").textContent = BOT_STATES[state.bot.state];
  byId("bot-state").dataset.state = state.bot.state;
}

function showSections() {
  const focused = document.activeElement?.closest?.("#sections [data-channel]")?.dataset.channel;
  const sections = SECTIONS.map(({ title, kinds }) => {
    const channels = channelsOf(view.me).filter(({ kind }) => kinds.includes(kind));
    return channels.length ? section(title, channels) : null;
  });
  byId("sections").replaceChildren(...sections.filter(Boolean));
  if (focused) byId("sections").querySelector(`[data-channel="${CSS.escape(focused)}"]`)?.focus();
}

function section(title, channels) {
  const id = `section-${title.split(" ")[0].toLowerCase()}`;
  return element(
    "section", { "aria-labelledby": id },
    element("h2", { id }, title),
    element("ul", {}, ...channels.map((channel) => element("li", {}, entry(channel)))),
  );
}

function entry(channel) {
  const unread = channel.id === view.channel ? 0 : unreadIn(channel.id);
  const button = element(
    "button",
    {
      type: "button", class: unread ? "entry unread" : "entry", "data-channel": channel.id,
      "aria-current": channel.id === view.channel && "page",
    },
    sign(channel),
    element("span", { class: "entry-name" }, titleOf(channel)),
    unread ? element("span", { class: "count" }, String(unread), hidden(" unread")) : null,
  );
  button.addEventListener("click", () => {
    slide({ open: false });
    if (channel.id !== view.channel) lookAt(channel.id);
  });
  return button;
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
