/** The interactive parts of Block Kit: a press or a choice becomes an interaction. */

import { announce, toast } from "./announcer.js";
import { ask } from "./confirm.js";
import { attempt } from "./deeds.js";
import { channelsOf, lookAt, view } from "./view.js";

const COPIED_MS = 1500;
const OPTIONS = {
  static_select: (ids, options) => ({ selected_option: options[0] ?? null }),
  external_select: (ids, options) => ({ selected_option: options[0] ?? null }),
  radio_buttons: (ids, options) => ({ selected_option: options[0] ?? null }),
  checkboxes: (ids, options) => ({ selected_options: options }),
  multi_static_select: (ids, options) => ({ selected_options: options }),
  multi_external_select: (ids, options) => ({ selected_options: options }),
  users_select: ([id = null]) => ({ selected_user: id }),
  multi_users_select: (ids) => ({ selected_users: ids }),
  channels_select: ([id = null]) => ({ selected_channel: id }),
  multi_channels_select: (ids) => ({ selected_channels: ids }),
  conversations_select: ([id = null]) => ({ selected_conversation: id }),
  multi_conversations_select: (ids) => ({ selected_conversations: ids }),
  datepicker: ([date = null]) => ({ selected_date: date }),
  timepicker: ([time = null]) => ({ selected_time: time }),
};

/** Listens to all elements at once, wherever they stand. */
export function startKit() {
  document.addEventListener("click", onClick);
  document.addEventListener("change", onChange);
  document.addEventListener("beforeinput", takeComma);
  // Before the parts of the page that Esc closes too.
  document.addEventListener("keydown", closeOverflow, { capture: true });
}

/** What stands in the inputs of a view: {block_id: {action_id: {type, ...}}}, as Slack has it. */
export function stateOf(place) {
  const state = {};
  for (const input of place.querySelectorAll("[data-type][data-block]")) {
    const { block, action, type } = input.dataset;
    (state[block] ??= {})[action] ??= { type, ...valueOf(place, input) };
  }
  return state;
}

function valueOf(place, input) {
  const { type } = input.dataset;
  if (!(type in OPTIONS)) return { value: input.value || null };
  const chosen = chosenIn(place, input).filter(({ value }) => value);
  const options = chosen.map(({ value, text }) => ({
    text: { type: "plain_text", text, emoji: true }, value,
  }));
  return OPTIONS[type](chosen.map(({ value }) => value), options);
}

/** What is chosen in a select, or in all boxes of the same element. */
function chosenIn(place, input) {
  if (input.matches("select")) {
    return [...input.selectedOptions].map(({ value, text }) => ({ value, text }));
  }
  if (!["radio", "checkbox"].includes(input.type)) return [{ value: input.value, text: "" }];
  const { block, action } = input.dataset;
  return [...place.querySelectorAll("input:checked")]
    .filter(({ dataset }) => dataset.block === block && dataset.action === action)
    .map(({ value, labels }) => ({ value, text: labels[0]?.textContent.trim() ?? value }));
}

async function onClick({ target }) {
  const copy = target.closest("button.copy");
  const link = target.closest(".channel-link");
  const button = target.closest(".kit :is(button, a)[data-action]");
  if (copy) await copyCode(copy);
  else if (link && channelsOf(view.me).some(({ id }) => id === link.dataset.channel)) {
    lookAt(link.dataset.channel);
  } else if (button) await press(button);
  for (const open of document.querySelectorAll("details.overflow[open]")) {
    if (button || !open.contains(target)) open.open = false;
  }
}

async function onChange({ target }) {
  if (!target.matches(".kit [data-dispatch]")) return;
  const place = placeOf(target);
  const chosen = chosenIn(place, target).map(({ value }) => value);
  const isMany = target.multiple || target.type === "checkbox";
  const isOption = target.dataset.type in OPTIONS;
  if (isOption && !isMany && !chosen[0]) return; // "Choose" is no choice
  const selected = isMany ? chosen : chosen[0];
  await act(target, isOption ? { selected } : { value: target.value });
}

/** Browsers whose numbers have a point drop a comma without a word: "0,7" would become "07". */
function takeComma(event) {
  const { target, data } = event;
  if (!target.matches('.kit input[type="number"]') || !data?.includes(",")) return;
  event.preventDefault();
  document.execCommand("insertText", false, data.replaceAll(",", "."));
}

async function press(button) {
  const { value, selected } = button.dataset;
  button.setAttribute("aria-busy", "true");
  await act(button, selected === undefined ? { value } : { selected });
  button.removeAttribute("aria-busy");
}

async function act(input, choice) {
  const place = placeOf(input);
  const { block, action, confirm } = input.dataset;
  if (confirm && !await ask(JSON.parse(confirm))) return;
  const { channel, ts, view: id } = place.dataset;
  const where = id ? { view: id, state: stateOf(place) } : { channel, ts };
  await attempt("act", { user: view.me, ...where, block_id: block, action_id: action, ...choice });
}

/** The message or the view in which an element stands. */
function placeOf(input) {
  return input.closest("[data-view], .message");
}

async function copyCode(button) {
  try {
    // Not allowed without https, other than on the computer itself.
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
  } catch {
    toast("The browser does not let this page copy. Select the code and copy it.");
    return;
  }
  announce("Copied");
  button.textContent = "Copied";
  setTimeout(() => button.replaceChildren("Copy"), COPIED_MS);
}

function closeOverflow(event) {
  const open = event.key === "Escape" && event.target.closest?.("details.overflow[open]");
  if (!open) return;
  event.preventDefault();
  open.open = false;
  open.querySelector("summary").focus();
}
