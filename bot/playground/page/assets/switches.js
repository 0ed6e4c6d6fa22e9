/** The switches for Slack's limits and for the speed of Slack and of the model. */

import { attempt } from "./deeds.js";
import { byId, element } from "./dom.js";
import { on, state } from "./store.js";

const CHOICES = [
  { key: "limits", label: "Rate limits", options: { real: "As Slack's", off: "Off" } },
  {
    key: "form", label: "Counted by",
    options: { window: "Sliding window", bucket: "Token bucket" },
  },
];
const RANGES = [
  {
    key: "scale", label: "Size of the limits", min: 0.1, max: 2, step: 0.1,
    words: (value) => `× ${value}`,
  },
  {
    key: "latency", label: "Slack takes", min: 0, max: 3, step: 0.05,
    words: (value) => `${value} s`,
  },
  {
    key: "model_rate", label: "Model writes", min: 5, max: 300, step: 5,
    words: (value) => `${value} tokens/s`,
  },
];

/** Shows the switches and keeps them true. */
export function startSwitches() {
  const shows = [...CHOICES.map(choice), ...RANGES.map(range)];
  const show = () => shows.forEach((each) => each(state.switches));
  on("everything", show);
  on("switches", show);
}

/** Adds a select; returns what shows the switches in it. */
function choice({ key, label, options }) {
  const select = element("select", { id: `switch-${key}`, name: key });
  for (const [value, words] of Object.entries(options)) {
    select.append(element("option", { value }, words));
  }
  select.addEventListener("change", () => attempt("switch", { [key]: select.value }));
  byId("switches").append(element("label", { for: select.id }, label), select);
  return (switches) => {
    select.value = switches[key];
  };
}

/** Adds a slider; returns what shows the switches in it. */
function range({ key, label, min, max, step, words }) {
  const id = `switch-${key}`;
  const slider = element("input", { type: "range", id, name: key, min, max, step });
  const output = element("output", { for: slider.id });
  const say = () => {
    output.textContent = words(Number(slider.value));
    slider.setAttribute("aria-valuetext", output.textContent);
  };
  slider.addEventListener("input", say);
  slider.addEventListener("change", () => attempt("switch", { [key]: Number(slider.value) }));
  const parts = [element("label", { for: slider.id }, label), slider, output];
  byId("switches").append(...parts);
  return (switches) => {
    const isSet = switches[key] != null; // a real model writes as fast as it likes
    for (const part of parts) part.hidden = !isSet;
    slider.value = switches[key];
    say();
  };
}
