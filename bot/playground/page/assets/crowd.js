/** Twenty people who ask at once, and how far the bot is with them. */

import { announce } from "./announcer.js";
import { attempt } from "./deeds.js";
import { byId, element, icon } from "./dom.js";
import { on, state } from "./store.js";

const PEOPLE = 20;

/** Shows the button and the progress. */
export function startCrowd() {
  const button = element(
    "button", { type: "button", id: "crowd-button", class: "button primary crowd-button" },
    icon("crowd"), `${PEOPLE} people ask at once`,
  );
  const bar = element("progress", { max: "1", value: "0", "aria-label": "Answered" });
  const words = element("p", { id: "crowd-summary", class: "crowd-summary" });
  button.addEventListener("click", () => attempt("crowd", { number: PEOPLE }));
  byId("crowd").append(button, bar, words);
  const show = () => {
    const { crowd } = state;
    button.disabled = Boolean(crowd?.running);
    bar.hidden = words.hidden = !crowd;
    if (!crowd) return;
    bar.max = crowd.asked || 1;
    bar.value = crowd.answered;
    words.textContent = summary(crowd);
  };
  on("everything", show);
  on("crowd", () => {
    const wasRunning = button.disabled;
    show();
    // Each step read out would be noise.
    if (wasRunning && !button.disabled) announce(words.textContent);
  });
}

function summary({ asked, answered, refused, seconds }) {
  const calls = refused === 1 ? "1 call" : `${refused} calls`;
  return `${answered} of ${asked} answered · ${calls} refused · ${Math.round(seconds)} s`;
}
