/** How much of each method's rate limit is used. */

import { byId, element } from "./dom.js";
import { on, state } from "./store.js";

const bars = new Map();

/** Shows the budgets and keeps them true. */
export function startBudgets() {
  on("everything", () => {
    bars.clear();
    byId("budgets").replaceChildren();
    show();
  });
  on("budgets", show);
  on("switches", show);
}

function show() {
  if (!state.budgets.length) {
    const isOff = state.switches.limits === "off";
    const words = isOff ? "The limits are off." : "No method has been called yet.";
    bars.clear();
    byId("budgets").replaceChildren(element("p", { class: "quiet" }, words));
    return;
  }
  byId("budgets").querySelector(":scope > p")?.remove();
  for (const budget of state.budgets) {
    if (!bars.has(budget.method)) bars.set(budget.method, bar(budget.method));
    bars.get(budget.method)(budget);
  }
}

/** Adds a bar; returns what shows a budget in it. */
function bar(method) {
  const meter = element("meter", { min: "0", "aria-label": `${method}: calls used` });
  const words = element("span", { class: "budget-words" });
  const name = element("span", { class: "budget-method", title: method }, method);
  byId("budgets").append(
    element("div", { class: "budget", "data-method": method }, name, words, meter),
  );
  return ({ used, limit, free_in: wait }) => {
    const marks = { low: limit * 0.6, high: limit * 0.9, optimum: 0 };
    Object.assign(meter, { max: limit, ...marks, value: used });
    words.textContent = wait > 0 ? `next in ${Math.ceil(wait)} s` : `${used} of ${limit}`;
    words.classList.toggle("spent", wait > 0);
  };
}
