/** The faults one can arm: each meets the next call it fits. */

import { attempt } from "./deeds.js";
import { byId, element, textButton } from "./dom.js";
import { on, state } from "./store.js";

const SIDES = { slack: "Slack", model: "Model" };

/** Shows the faults and keeps them true. */
export function startFaults() {
  on("everything", show);
  on("switches", show);
}

function show() {
  const focused = document.activeElement?.closest("#faults [data-key]")?.dataset.key;
  const groups = Object.entries(SIDES).flatMap(([side, words]) => {
    const lines = state.switches.faults.filter((fault) => fault.side === side).map(line);
    return lines.length ? [element("h4", {}, words), ...lines] : [];
  });
  const isArmed = state.switches.faults.some(({ armed }) => armed);
  const calm = textButton("Take all faults away", "button small", () => attempt("calm"));
  calm.disabled = !isArmed;
  byId("faults").replaceChildren(...groups, calm);
  if (focused) byId("faults").querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function line({ key, label, explanation, armed }) {
  const words = armed ? `Armed: ${armed}` : "Arm";
  const button = textButton(words, "fault", () => attempt("fault", { key, times: armed ? 0 : 1 }));
  button.dataset.key = key;
  button.setAttribute("aria-pressed", String(armed > 0));
  const times = armed === 1 ? "once" : `${armed} times`;
  const what = armed ? `armed ${times}, take away` : "arm";
  button.setAttribute("aria-label", `${label}: ${what}`);
  return element(
    "div", { class: "fault-line", title: explanation },
    element("span", { class: "fault-label" }, label, element("small", {}, explanation)),
    button,
  );
}
