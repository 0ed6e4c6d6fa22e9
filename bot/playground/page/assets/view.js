/** What this window looks at, and as whom; a reload keeps it, another window has its own. */

import { messagesIn, nameOf, state, tell } from "./store.js";

const KEY = "playground.view";
const WIDE = matchMedia("(min-width: 1000px)");

export const view = {
  me: null,
  channel: null,
  thread: null,
  tab: "messages",
  drawer: false,
  hiddenKinds: [],
  drafts: {},
  read: {},
  ...JSON.parse(sessionStorage.getItem(KEY) ?? "{}"),
};

/** Changes what the window looks at; listeners of "view" hear the keys that changed. */
export function look(changes) {
  const keys = Object.keys(changes).filter((key) => view[key] !== changes[key]);
  Object.assign(view, changes);
  markRead();
  save();
  if (keys.length) tell("view", keys);
}

/** Opens a channel, with its thread if one is given. */
export function lookAt(channel, thread = null) {
  look({ channel, thread, tab: "messages" });
}

/** Speaks as another person, in the same kind of place if that person is in it. */
export function speakAs(me) {
  const theirs = channelsOf(me);
  const isDm = state.channels.get(view.channel)?.kind === "im";
  const channel = theirs.find(({ id }) => id === view.channel)
    ?? theirs.find(({ kind }) => (kind === "im") === isDm);
  const isSame = channel?.id === view.channel;
  look({ me, channel: channel?.id ?? null, thread: isSame ? view.thread : null });
}

/** Repairs what the window remembers of a playground that has been started anew. */
export function settle() {
  if (!speakers().some(({ id }) => id === view.me)) view.me = speakers()[0]?.id ?? null;
  if (!channelsOf(view.me).some(({ id }) => id === view.channel)) {
    Object.assign(view, { channel: firstChannelOf(view.me)?.id ?? null, thread: null });
  }
  if (!messagesIn(view.channel).some(({ ts }) => ts === view.thread)) view.thread = null;
  const newest = latestTs();
  for (const { id: user } of speakers()) {
    for (const { id } of channelsOf(user)) view.read[`${user}/${id}`] ??= newest;
  }
  markRead();
  save();
}

/** The people whom one may speak as. */
export function speakers() {
  return [...state.people.values()].filter(({ role }) => role !== "app" && role !== "crowd");
}

/** The channels that a person sees. */
export function channelsOf(user) {
  return [...state.channels.values()].filter(({ members }) => members.includes(user));
}

/** The channel in view, or undefined. */
export function currentChannel() {
  return state.channels.get(view.channel);
}

/** A channel's name for the reader, without "#". */
export function titleOf(channel) {
  if (channel.kind === "im") return state.bot.name;
  if (channel.kind !== "mpim") return channel.name;
  const others = channel.members.filter((id) => id !== view.me && id !== state.bot.id);
  return [...others, state.bot.id].map(nameOf).join(", ");
}

/** Whether the person in this window may see the message. */
export function isVisible(message) {
  return message.reader == null || message.reader === view.me;
}

/** What others wrote since this person last looked at the channel. */
export function unreadIn(channel) {
  const read = view.read[`${view.me}/${channel}`] ?? "";
  const mine = new Set(
    messagesIn(channel).filter(({ user }) => user === view.me).map((m) => m.thread_ts ?? m.ts),
  );
  return messagesIn(channel).filter(
    (message) =>
      message.ts > read
      && message.user !== view.me
      && isVisible(message)
      && (!message.thread_ts || mine.has(message.thread_ts)),
  );
}

/** Whether a message calls the person in this window by name, or all. */
export function isForMe({ html }) {
  return html.includes(`data-user="${view.me}"`) || html.includes("mention broadcast");
}

/** Notes that the channel in view is read up to its end. */
export function markRead() {
  const last = messagesIn(view.channel).at(-1);
  if (last) view.read[`${view.me}/${view.channel}`] = last.ts;
}

/** The words of a message that has not been sent. */
export function draftOf(place) {
  return view.drafts[place] ?? "";
}

/** Keeps them. */
export function keepDraft(place, text) {
  if (text) view.drafts[place] = text;
  else delete view.drafts[place];
  save();
}

/** Whether a thread has room beside its channel. */
export function isWide() {
  return WIDE.matches;
}

/** The DM with the app, where a question needs no mention. */
function firstChannelOf(user) {
  return channelsOf(user).find(({ kind }) => kind === "im") ?? channelsOf(user)[0];
}

function latestTs() {
  const lasts = [...state.messages.values()].map((all) => all.at(-1)?.ts ?? "");
  return lasts.sort().at(-1) ?? "";
}

function save() {
  sessionStorage.setItem(KEY, JSON.stringify(view));
}
