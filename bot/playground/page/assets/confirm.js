/** A question with two answers. */

import { byId } from "./dom.js";

/** Asks; true when the person agreed. */
export function ask({ title, text, confirm, deny, style = "primary" }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = confirm;
  byId("confirm-yes").className = `button ${style}`;
  byId("confirm-no").textContent = deny;
  dialog.returnValue = "";
  dialog.showModal();
  byId("confirm-yes").onclick = () => dialog.close("yes");
  byId("confirm-no").onclick = () => dialog.close("no");
  byId("confirm-yes").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
