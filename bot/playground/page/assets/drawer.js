/** The drawer: what goes over the wire, the budgets, and all that one can switch. */

import { startBudgets } from "./budgets.js";
import { startCrowd } from "./crowd.js";
import { byId } from "./dom.js";
import { startFaults } from "./faults.js";
import { startLog } from "./log.js";
import { startSwitches } from "./switches.js";
import { on } from "./store.js";
import { look, view } from "./view.js";

/** Shows the drawer when it is wanted. */
export function startDrawer() {
  for (const start of [startLog, startBudgets, startSwitches, startFaults, startCrowd]) start();
  byId("wire-toggle").addEventListener("click", () => look({ drawer: !view.drawer }));
  byId("drawer-close").addEventListener("click", close);
  byId("drawer").addEventListener("keydown", ({ key }) => key === "Escape" && close());
  on("view", (keys) => {
    if (!keys.includes("drawer")) return;
    show();
    if (view.drawer) byId("log-scroller").focus();
  });
  show();
}

function show() {
  byId("drawer").hidden = !view.drawer;
  byId("wire-toggle").setAttribute("aria-pressed", String(view.drawer));
}

function close() {
  look({ drawer: false });
  byId("wire-toggle").focus();
}
