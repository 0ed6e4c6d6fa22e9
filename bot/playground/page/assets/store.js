/** What the server told, and who wants to hear of it. */

const listeners = new Map();

/** Everything the server told; only this module writes to it. */
export const state = {};

/** Calls `listener` with each change of `topic`; "everything" when all was replaced. */
export function on(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, []);
  listeners.get(topic).push(listener);
}

/** Tells the listeners of `topic`. */
export function tell(topic, value) {
  for (const listener of listeners.get(topic) ?? []) listener(value);
}

/** Takes the first frame of a connection in place of all that was known. */
export function replace(all) {
  state.statuses?.forEach(({ timer }) => clearTimeout(timer));
  Object.assign(state, {
    bot: all.bot,
    people: byKey(all.people, (person) => person.id),
    channels: byKey(all.channels, (channel) => channel.id),
    commands: all.commands,
    shortcuts: all.shortcuts,
    messages: new Map(),
    statuses: new Map(),
    homes: byKey(all.homes, (home) => home.user),
    modals: new Map(),
    prompts: byKey(all.prompts, placeOf),
    titles: byKey(all.titles, placeOf),
    switches: all.switches,
    budgets: all.budgets,
    wire: byKey(all.wire, (row) => row.id),
    crowd: all.crowd,
  });
  all.messages.forEach(keepMessage);
  all.statuses.forEach(keepStatus);
  for (const modal of all.modals) state.modals.set(modal.user, [...modalsOf(modal.user), modal]);
  tell("everything");
}

/** Takes all changes of a frame, each with one key: its topic. Then tells of them. */
export function apply(changes) {
  const news = changes.flatMap(Object.entries)
    .filter(([topic]) => topic in keepers)
    .map(([topic, value]) => ({ topic, value, isNew: keepers[topic](value) }));
  for (const { topic, value, isNew } of news) tell(topic, { value, isNew });
}

/** The messages of a channel, oldest first. */
export function messagesIn(channel) {
  return state.messages.get(channel) ?? [];
}

/** One message, or undefined. */
export function messageAt(channel, ts) {
  return messagesIn(channel).find((message) => message.ts === ts);
}

/** The status under a thread, or undefined. */
export function statusOf(channel, threadTs) {
  return state.statuses.get(placeOf({ channel, thread_ts: threadTs }));
}

/** The open modals of a person, top last. */
export function modalsOf(user) {
  return state.modals.get(user) ?? [];
}

/** The suggested prompts of a thread, or of the channel itself. */
export function promptsOf(channel, threadTs) {
  return state.prompts.get(placeOf({ channel, thread_ts: threadTs }));
}

/** How the app has named a thread, or undefined. */
export function titleOfThread(channel, threadTs) {
  return state.titles.get(placeOf({ channel, thread_ts: threadTs }))?.title;
}

/** The name of a person; of one that is not known the id. */
export function nameOf(user) {
  return state.people.get(user)?.name ?? (user === state.bot.id ? state.bot.name : user);
}

const WIRE_ROWS = 300;

const keepers = {
  bot: (bot) => void (state.bot = bot),
  people: (people) => void (state.people = byKey(people, (person) => person.id)),
  channels: (channels) => void (state.channels = byKey(channels, (channel) => channel.id)),
  message: keepMessage,
  gone: ({ channel, ts }) =>
    void state.messages.set(channel, messagesIn(channel).filter((message) => message.ts !== ts)),
  status: keepStatus,
  home: (home) => void state.homes.set(home.user, home),
  modals: ({ user, modals }) => void state.modals.set(user, modals),
  title: (title) => void state.titles.set(placeOf(title), title),
  prompts: (prompts) => void state.prompts.set(placeOf(prompts), prompts),
  switches: (switches) => void (state.switches = switches),
  budgets: (budgets) => void (state.budgets = budgets),
  row: keepRow,
  crowd: (crowd) => void (state.crowd = crowd),
};

/** Returns whether the message was not known. */
function keepMessage(message) {
  const all = messagesIn(message.channel);
  const at = all.findLastIndex((other) => other.ts <= message.ts);
  const isNew = at < 0 || all[at].ts !== message.ts;
  if (isNew) all.splice(at + 1, 0, message);
  else all[at] = message;
  state.messages.set(message.channel, all);
  return isNew;
}

/** A status without an end from the server ends after its seconds. */
function keepStatus(status) {
  const place = placeOf(status);
  clearTimeout(state.statuses.get(place)?.timer);
  if (!status.text) {
    state.statuses.delete(place);
    return;
  }
  const end = () => apply([{ status: { ...status, text: "" } }]);
  state.statuses.set(place, { ...status, timer: setTimeout(end, status.seconds * 1000) });
}

function keepRow(row) {
  state.wire.set(row.id, row);
  if (state.wire.size > WIRE_ROWS) state.wire.delete(state.wire.keys().next().value);
}

function placeOf({ channel, thread_ts: threadTs }) {
  return `${channel}/${threadTs ?? ""}`;
}

function byKey(values, key) {
  return new Map(values.map((value) => [key(value), value]));
}
