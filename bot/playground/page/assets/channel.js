/** The main pane: the channel in view, its messages and the box to write in. */

import { avatar, badge } from "./avatar.js";
import { dayOf, isSameDay } from "./clock.js";
import { Composer } from "./composer.js";
import { byId, element, icon } from "./dom.js";
import { MessageList } from "./messages.js";
import { popUp } from "./popup.js";
import { messagesIn, nameOf, on, promptsOf, state } from "./store.js";
import { choices } from "./suggestions.js";
import { currentChannel, isVisible, isWide, look, titleOf, view } from "./view.js";

let list;
let composer;
let shownPlace = "";

/** Shows the channel in view and keeps it true. */
export function startChannel() {
  list = new MessageList(byId("messages"), {
    scroller: byId("messages-scroller"),
    latest: byId("messages-latest"),
    divider: ({ ts }, previous) =>
      (previous && isSameDay(previous.ts, ts) ? null : dayOf(ts)),
    openThread: (ts) => look({ thread: ts }),
  });
  composer = new Composer(byId("composer"), {
    id: "composer-text",
    where: () => ({ channel: view.channel, thread_ts: null }),
    sent: openSent,
    editLast: () => editLast(list, shown()),
  });
  on("everything", showAll);
  on("view", (keys) => {
    if (keys.includes("channel") || keys.includes("me")) showAll();
  });
  for (const topic of ["channels", "people", "bot"]) on(topic, showHead);
  on("message", ({ value }) => ofChannel(value) && isListed(value) && showMessages());
  on("gone", ({ value }) => ofChannel(value) && list.row(value.ts) && showMessages());
  on("prompts", ({ value }) => ofChannel(value) && showEmpty());
  on("status", ({ value }) => ofChannel(value) && list.row(value.thread_ts)?.updateReplies());
  byId("members").addEventListener("click", openMembers);
}

/** Opens the edit box of the last message of the person in this window. */
export function editLast(messageList, messages) {
  const last = messages.findLast(
    ({ user, deleted, reader }) => user === view.me && !deleted && reader == null,
  );
  if (last) messageList.row(last.ts).edit();
}

/** A new connection leaves what one does and reads in the same place as it is. */
function showAll() {
  const place = `${view.me}/${view.channel}`;
  showHead();
  if (place === shownPlace) list.show(shown());
  else {
    list.replace(shown());
    composer.show(label());
  }
  shownPlace = place;
  showEmpty();
}

function showMessages() {
  list.show(shown());
  showEmpty();
}

function shown() {
  return messagesIn(view.channel).filter((message) => isVisible(message) && isListed(message));
}

/** Whether it stands in the channel itself; the other replies stand in their threads. */
function isListed({ thread_ts: threadTs, broadcast }) {
  return !threadTs || broadcast;
}

function showHead() {
  const channel = currentChannel();
  if (!channel) return;
  const signs = { channel: icon("hash"), private: icon("lock"), mpim: icon("crowd") };
  const sign = signs[channel.kind] ?? avatar(state.bot.id, "avatar small");
  byId("channel-name").replaceChildren(
    sign, element("span", { class: "pane-name" }, titleOf(channel)),
    channel.kind === "im" ? badge(state.bot.id) : "",
  );
  document.title = `${label("")} · Playground`;
  byId("messages").setAttribute("aria-label", `Messages in ${label("")}`);
  byId("members").hidden = channel.kind === "im";
  byId("members").setAttribute("aria-label", `${channel.members.length} members`);
  byId("members").replaceChildren(
    ...channel.members.slice(0, 3).map((id) => avatar(id, "avatar tiny")),
    element("span", {}, String(channel.members.length)),
  );
}

function label(before = "Message ") {
  const channel = currentChannel();
  if (!channel) return before;
  const isNamed = channel.kind === "channel" || channel.kind === "private";
  return `${before}${isNamed ? "#" : ""}${titleOf(channel)}`;
}

function showEmpty() {
  const channel = currentChannel();
  const isEmpty = Boolean(channel) && !shown().length;
  byId("empty").hidden = !isEmpty;
  showPrompts(channel, { isEmpty });
  if (!isEmpty) return;
  const isDm = channel.kind === "im";
  const words = isDm
    ? "Ask anything. Each question starts a thread, and the answer is written there live."
    : `Mention @${state.bot.name} in a message, and it answers in a thread.`;
  const title = isDm
    ? `This is your conversation with ${state.bot.name}`
    : `This is the start of ${label("")}`;
  byId("empty").replaceChildren(
    element("h3", {}, title),
    element("p", {}, words),
    choices(promptsOf(channel.id, null), { isDm, choose: (text) => composer.fill(text) }),
  );
}

/** What the app suggests stays until one has written there oneself. */
function showPrompts(channel, { isEmpty }) {
  const prompts = channel && promptsOf(channel.id, null);
  const isNew = !isEmpty && Boolean(prompts) && !shown().some(({ user }) => user === view.me);
  byId("channel-prompts").hidden = !isNew;
  if (!isNew) return;
  const choose = (text) => composer.fill(text);
  byId("channel-prompts").replaceChildren(choices(prompts, { isDm: true, choose }));
}

/** A question's thread opens by itself, so that one sees the answer come. */
function openSent(ts, text) {
  if (!ts) return;
  list.toEnd();
  const isDm = currentChannel().kind === "im";
  const isAsked = text.toLowerCase().includes(`@${state.bot.name.toLowerCase()}`);
  if (isDm || (isAsked && isWide())) look({ thread: ts });
}

function openMembers() {
  const popup = byId("members-list");
  const members = currentChannel().members.map((id) =>
    element("li", { class: "menu-item" }, avatar(id, "avatar small"),
      element("span", { class: "menu-name" }, nameOf(id)), badge(id)));
  popup.replaceChildren(element("ul", {}, ...members));
  popUp(popup, byId("members"));
  popup.focus();
}

function ofChannel({ channel }) {
  return channel === view.channel;
}
