/** Light or dark: as the system has it, or as the person chose for all windows. */

import { byId, icon } from "./dom.js";

const KEY = "playground.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };

let theme = localStorage.getItem(KEY) ?? "auto";

/** Shows the chosen theme and lets one choose. */
export function startTheme() {
  byId("theme").addEventListener("click", () => choose(NEXT[theme]));
  addEventListener("storage", ({ key, newValue }) => key === KEY && choose(newValue));
  choose(theme);
}

function choose(chosen) {
  theme = chosen in NEXT ? chosen : "auto";
  localStorage.setItem(KEY, theme);
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const label = `Theme: ${theme}. Change to ${NEXT[theme]}`;
  byId("theme").replaceChildren(icon(theme));
  byId("theme").setAttribute("aria-label", label);
  byId("theme").title = label;
}
