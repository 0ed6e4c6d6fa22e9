/** The reactions one can choose from, and the small window to choose one in. */

import { byId, element } from "./dom.js";
import { popUp } from "./popup.js";

/** Slack's names of emoji, and their characters. */
export const EMOJI = new Map(Object.entries({
  "+1": "👍", "-1": "👎", eyes: "👀", heart: "❤️", tada: "🎉", white_check_mark: "✅",
  joy: "😂", smile: "😄", thinking_face: "🤔", pray: "🙏", fire: "🔥", rocket: "🚀",
  raised_hands: "🙌", clap: "👏", 100: "💯", bulb: "💡", warning: "⚠️", x: "❌",
  question: "❓", wave: "👋", sob: "😭", open_mouth: "😮", bug: "🐛", hourglass_flowing_sand: "⏳",
}));

/** Lets the person choose; `choose` gets the name, and `home` the focus. */
export function pickEmoji(anchor, { home, choose }) {
  const picker = byId("emoji");
  const close = popUp(picker, anchor, home);
  picker.replaceChildren(...[...EMOJI].map(([name, character]) => {
    const label = `:${name}:`;
    const button = element(
      "button", { type: "button", class: "emoji", "aria-label": label, title: label }, character,
    );
    button.addEventListener("click", () => {
      close();
      choose(name);
    });
    return button;
  }));
  picker.firstElementChild.focus();
}
