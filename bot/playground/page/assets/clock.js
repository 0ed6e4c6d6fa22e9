/** Times and days as people read them. */

const TIME = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en", { weekday: "long", month: "long", day: "numeric" });
const WHOLE = new Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "medium" });
const DAY_MS = 86_400_000;

/** The time of a ts, such as "14:03". */
export function timeOf(ts) {
  return TIME.format(dateOf(ts));
}

/** The same without "AM" and "PM", where there is little room. */
export function shortTimeOf(ts) {
  const parts = TIME.formatToParts(dateOf(ts)).filter(({ type }) => type !== "dayPeriod");
  return parts.map(({ value }) => value).join("").trim();
}

/** Day and time in full, for tooltips. */
export function wholeTimeOf(ts) {
  return WHOLE.format(dateOf(ts));
}

/** "Today", "Yesterday" or the day. */
export function dayOf(ts) {
  const day = DAY.format(dateOf(ts));
  if (day === DAY.format(Date.now())) return "Today";
  return day === DAY.format(Date.now() - DAY_MS) ? "Yesterday" : day;
}

/** Whether both are of one day, as it is here. */
export function isSameDay(one, other) {
  return new Date(dateOf(one)).toDateString() === new Date(dateOf(other)).toDateString();
}

function dateOf(ts) {
  return Number(ts) * 1000;
}
