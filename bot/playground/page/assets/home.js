/** The tabs of the DM with the app, and its App Home. */

import { attempt } from "./deeds.js";
import { byId, element, parsed } from "./dom.js";
import { morph } from "./morph.js";
import { on, state } from "./store.js";
import { currentChannel, look, view } from "./view.js";

const TABS = ["messages", "home"];
const MESSAGES_PANEL = { role: "tabpanel", "aria-labelledby": "tab-messages" };

/** Shows the tabs where there are some, and the home when it is chosen. */
export function startHome() {
  on("everything", open);
  on("view", (keys) => ["channel", "me", "tab"].some((key) => keys.includes(key)) && open());
  on("home", ({ value }) => value.user === view.me && showHome());
  for (const tab of TABS) byId(`tab-${tab}`).addEventListener("click", () => choose(tab));
  byId("tabs").addEventListener("keydown", ({ key }) => {
    if (key === "ArrowLeft" || key === "ArrowRight") {
      choose(view.tab === "home" ? "messages" : "home");
      byId(`tab-${view.tab}`).focus();
    }
  });
}

function choose(tab) {
  look(tab === "home" ? { tab, thread: null } : { tab });
}

/** The app hears of it when its Home or its direct messages are looked at. */
function open() {
  const isDm = currentChannel()?.kind === "im";
  const tab = isDm ? view.tab : "messages";
  show({ isDm, tab });
  if (isDm) attempt("home", { user: view.me, tab });
}

function show({ isDm, tab }) {
  byId("tabs").hidden = !isDm;
  for (const name of TABS) {
    byId(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    byId(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
    byId(`${name}-panel`).hidden = name !== tab;
  }
  // Without tabs there is no panel of one.
  for (const [name, value] of Object.entries(MESSAGES_PANEL)) {
    if (isDm) byId("messages-panel").setAttribute(name, value);
    else byId("messages-panel").removeAttribute(name);
  }
  showHome();
}

function showHome() {
  const panel = byId("home-panel");
  const { id, html } = state.homes.get(view.me) ?? {};
  if (html) {
    const body = element("div", { class: "home-body kit", "data-view": id });
    body.append(parsed(html));
    const frame = document.createDocumentFragment();
    frame.append(body);
    morph(panel, frame);
  } else {
    panel.replaceChildren(
      element(
        "div", { class: "empty" },
        element("h3", {}, "Nothing here yet"),
        element("p", {}, `${state.bot.name} has not published a Home for you.`),
      ),
    );
  }
}
