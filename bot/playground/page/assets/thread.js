/** The side pane: one thread, the app's status line, and the box to reply in. */

import { Composer } from "./composer.js";
import { editLast } from "./channel.js";
import { attempt } from "./deeds.js";
import { byId, element } from "./dom.js";
import { countOf } from "./message.js";
import { MessageList } from "./messages.js";
import { messagesIn, on, promptsOf, state, statusOf, titleOfThread } from "./store.js";
import { choices } from "./suggestions.js";
import { currentChannel, isVisible, look, titleOf, view } from "./view.js";

const LOADING_MS = 2500;

let list;
let composer;
let shownPlace = "";
let opener = null;
let turning = null;

/** Shows the thread in view and keeps it true. */
export function startThread() {
  list = new MessageList(byId("thread-messages"), {
    scroller: byId("thread-scroller"),
    latest: byId("thread-latest"),
    divider: (message, previous) =>
      previous && !previous.thread_ts && replies() ? countOf(replies()) : null,
    openThread: null,
  });
  composer = new Composer(byId("thread-composer"), {
    id: "thread-text",
    where: () => ({ channel: view.channel, thread_ts: view.thread }),
    sent: () => list.toEnd(),
    editLast: () => editLast(list, shown()),
  });
  on("everything", show);
  on("view", onView);
  for (const topic of ["message", "gone"]) on(topic, ({ value }) => showChange(value));
  on("status", ({ value }) => isHere(value) && showStatus());
  on("prompts", ({ value }) => isHere(value) && showPrompts());
  on("title", ({ value }) => isHere(value) && showTitle());
  byId("thread-close").addEventListener("click", close);
  byId("status-stop").addEventListener("click", stop);
  byId("thread").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) close();
  });
}

function onView(keys) {
  if (!["channel", "thread", "me"].some((key) => keys.includes(key))) return;
  if (keys.includes("thread") && view.thread) opener = openerOf(document.activeElement);
  show();
  if (keys.includes("thread") && view.thread && !isAsking()) composer.box.focus();
}

/** Who asks in a channel goes on writing there; a direct message goes on in its thread. */
function isAsking() {
  return document.activeElement === byId("composer-text") && currentChannel().kind !== "im";
}

/** Where the focus goes back to: the message rather than a button of it that may vanish. */
function openerOf(focused) {
  return focused.closest("#messages .message") ?? byId("composer-text");
}

function show() {
  byId("thread").hidden = !view.thread;
  document.body.classList.toggle("thread-open", Boolean(view.thread));
  const place = view.thread && `${view.me}/${view.channel}/${view.thread}`;
  const isOther = place !== shownPlace;
  shownPlace = place;
  if (!view.thread) return;
  showTitle();
  if (!isOther) list.show(shown());
  else {
    list.replace(shown());
    composer.show("Reply…");
  }
  showStatus();
  showPrompts();
}

/** As the app has named the thread; else by its channel. */
function showTitle() {
  const channel = currentChannel();
  const isDm = channel.kind === "im" || channel.kind === "mpim";
  const where = isDm ? titleOf(channel) : `#${channel.name}`;
  byId("thread-channel").textContent = titleOfThread(view.channel, view.thread) ?? where;
}

function showChange({ channel, ts, thread_ts: threadTs }) {
  if (channel !== view.channel || (ts !== view.thread && threadTs !== view.thread)) return;
  if (!shown().length) look({ thread: null });
  else if (view.thread) {
    list.show(shown());
    showStatus();
  }
}

function shown() {
  return messagesIn(view.channel).filter(
    (message) =>
      isVisible(message) && (message.ts === view.thread || message.thread_ts === view.thread),
  );
}

/** How many there are. What only one person sees is none, as in Slack. */
function replies() {
  return shown().filter(({ ts, reader }) => ts !== view.thread && reader == null).length;
}

function close() {
  look({ thread: null });
  if (opener?.isConnected) opener.focus();
  else byId("composer-text").focus();
}

/** Slack's own control over what an app does in a thread. */
function stop() {
  attempt("stop", { user: view.me, channel: view.channel, thread_ts: view.thread });
}

/** "Bot is writing...", its dots moving, and below it in turn what the app says it does. */
function showStatus() {
  const line = byId("status-line");
  const status = statusOf(view.channel, view.thread) ?? streaming();
  clearInterval(turning);
  line.hidden = !status;
  if (!status) return;
  const dots = element("span", { class: "dots", "aria-hidden": "true" });
  dots.append(...[".", ".", "."].map((dot) => element("span", {}, dot)));
  const loading = element("span", { class: "loading" });
  const words = `${state.bot.name} ${status.text.replace(/[.…]+$/, "")}`;
  byId("status-words").replaceChildren(words, dots, loading);
  turn(loading, status.loading);
}

/** Beside a message that the app streams, Slack shows its control too. */
function streaming() {
  const isGrowing = shown().some((message) => message.streaming);
  return isGrowing ? { text: "is streaming its answer", loading: [] } : undefined;
}

function turn(place, words) {
  if (!words.length) return;
  let at = 0;
  const next = () => {
    place.textContent = words[at++ % words.length];
  };
  next();
  turning = setInterval(next, LOADING_MS);
}

function showPrompts() {
  const prompts = promptsOf(view.channel, view.thread);
  byId("thread-prompts").hidden = !prompts?.prompts.length;
  if (!prompts) return;
  byId("thread-prompts").replaceChildren(
    choices(prompts, { isDm: true, choose: (text) => composer.fill(text) }),
  );
}

function isHere({ channel, thread_ts: threadTs }) {
  return channel === view.channel && threadTs === view.thread;
}
