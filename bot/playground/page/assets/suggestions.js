/** What one could ask: the app's own suggestions or, where it made none, three of ours. */

import { element, textButton } from "./dom.js";
import { state } from "./store.js";

const OURS = [
  "Compare three ways to keep the state of a small service, in a table",
  "Write a Python function with a test",
  "Hello!",
];

/** Buttons; `choose` gets the words of the one that was pressed. */
export function choices(prompts, { isDm, choose }) {
  const mention = isDm ? "" : `@${state.bot.name} `;
  const ours = OURS.map((words) => ({ title: words, message: mention + words }));
  const offered = prompts?.prompts ?? ours;
  return element(
    "div", { class: "choices", role: "group", "aria-label": prompts?.title || "Suggestions" },
    prompts?.title ? element("p", { class: "quiet" }, prompts.title) : null,
    ...offered.map(({ title, message }) => textButton(title, "choice", () => choose(message))),
  );
}
