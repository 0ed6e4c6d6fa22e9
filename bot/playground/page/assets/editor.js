/** The text box that stands in place of a message while it is edited. */

import { autosize } from "./autosize.js";
import { element, textButton } from "./dom.js";

/** Puts the box into `place`; `save` gets the new text, which may be empty. */
export function openEditor(place, text, { save, cancel }) {
  const label = "Edit the message";
  const box = element("textarea", { class: "edit-text", "aria-label": label, rows: "1" });
  const done = () => save(box.value.trim());
  box.value = text;
  box.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") cancel();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      done();
    }
  });
  const buttons = element(
    "div", { class: "edit-buttons" },
    textButton("Cancel", "button small", cancel), textButton("Save", "button small primary", done),
  );
  place.replaceChildren(element("div", { class: "edit" }, box, buttons));
  autosize(box);
  box.focus();
  box.setSelectionRange(text.length, text.length);
}
