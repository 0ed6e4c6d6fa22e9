/** Small windows beside a button: one at a time, closed by Esc or by going elsewhere. */

const MARGIN = 8;

let closeOpen = () => {};

/** Shows `popup` at `anchor`; returns what closes it and gives the focus to `home`. */
export function popUp(popup, anchor, home = anchor) {
  closeOpen();
  const outside = ({ target }) => {
    if (!popup.contains(target) && !anchor.contains(target)) close();
  };
  const leave = ({ relatedTarget }) => popup.contains(relatedTarget) || close();
  const keys = (event) => onKey(event, popup, close);
  const close = () => {
    const hadFocus = popup.contains(document.activeElement);
    popup.hidden = true;
    anchor.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside);
    popup.removeEventListener("focusout", leave);
    popup.removeEventListener("keydown", keys);
    if (hadFocus) home.focus();
    closeOpen = () => {};
  };
  popup.hidden = false;
  anchor.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside);
  popup.addEventListener("focusout", leave);
  popup.addEventListener("keydown", keys);
  place(popup, anchor.getBoundingClientRect());
  requestAnimationFrame(() => place(popup, anchor.getBoundingClientRect()));
  closeOpen = close;
  return close;
}

function onKey(event, popup, close) {
  const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
  if (event.key === "Escape") {
    event.stopPropagation();
    close();
  } else if (event.key === "Tab" && popup.getAttribute("role") === "menu") {
    close();
  } else if (event.key in steps) {
    const items = [...popup.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement) + steps[event.key];
    items.at(at % items.length)?.focus();
    event.preventDefault();
  }
}

/** Below the anchor, or above it where there is no room; always inside the page. */
function place(popup, anchor) {
  const { offsetWidth: width, offsetHeight: height } = popup;
  const below = anchor.bottom + 4;
  const top = below + height + MARGIN > innerHeight ? anchor.top - height - 4 : below;
  const left = Math.min(anchor.left, innerWidth - width - MARGIN);
  popup.style.setProperty("top", `${Math.max(MARGIN, top)}px`);
  popup.style.setProperty("left", `${Math.max(MARGIN, left)}px`);
}
