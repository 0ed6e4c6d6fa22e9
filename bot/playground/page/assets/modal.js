/** The modal on top of this person's stack, as a dialog. */

import { attempt } from "./deeds.js";
import { byId, element, parsed } from "./dom.js";
import { stateOf } from "./kit.js";
import { morph } from "./morph.js";
import { modalsOf, on } from "./store.js";
import { view } from "./view.js";

let shownId = null;

/** Shows modals as the app opens, changes and closes them. */
export function startModal() {
  on("everything", show);
  on("view", (keys) => keys.includes("me") && show());
  on("modals", ({ value }) => value.user === view.me && show());
  byId("modal-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  for (const id of ["modal-close", "modal-dismiss"]) byId(id).addEventListener("click", close);
  byId("modal").addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
}

function show() {
  const modal = modalsOf(view.me).at(-1);
  if (modal) draw(modal);
  else if (shownId) byId("modal").close();
  shownId = modal?.id ?? null;
}

function draw({ id, title, html, submit: submitWords, close: closeWords, errors, waiting }) {
  const body = byId("modal-body");
  const isOther = id !== shownId;
  if (isOther) body.replaceChildren();
  body.dataset.view = id;
  byId("modal-title").textContent = title;
  byId("modal-close").textContent = closeWords || "Close";
  byId("modal-submit").textContent = submitWords ?? "";
  byId("modal-submit").hidden = !submitWords;
  byId("modal-submit").disabled = Boolean(waiting);
  clearErrors();
  morph(body, parsed(html));
  if (!byId("modal").open) byId("modal").showModal();
  const first = body.querySelector("input, textarea, select") ?? byId("modal-dismiss");
  if (isOther) first.focus();
  if (!waiting) showErrors(errors);
}

/** What the app answers comes as a change of the modal, which enables the button again. */
async function submit() {
  const body = byId("modal-body");
  clearErrors();
  const errors = missing(body);
  showErrors(errors);
  if (Object.keys(errors).length) return;
  byId("modal-submit").disabled = true;
  const wish = { user: view.me, view: shownId, state: stateOf(body) };
  if (!await attempt("submit", wish)) byId("modal-submit").disabled = false;
}

function close() {
  return attempt("close", { user: view.me, view: shownId });
}

/** What the browser itself knows to be wrong, by block. */
function missing(body) {
  const wrong = [...body.querySelectorAll(":invalid[data-block]")];
  return Object.fromEntries(wrong.map((input) => [input.dataset.block, input.validationMessage]));
}

/** Puts each sentence beneath its input, or above all, and goes to the first such input. */
function showErrors(errors) {
  const body = byId("modal-body");
  for (const [block, sentence] of Object.entries(errors)) {
    const own = `:is(input, select, textarea)[data-block="${CSS.escape(block)}"]`;
    const input = body.querySelector(own);
    if (input) mark(input, sentence);
    else {
      byId("modal-error").textContent = sentence;
      byId("modal-error").hidden = false;
    }
  }
  body.querySelector('[aria-invalid="true"]')?.focus();
}

function mark(input, sentence) {
  const id = `error-${input.dataset.block}`;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", id);
  (input.closest(".input") ?? input.parentElement).append(
    element("p", { class: "error", id, role: "alert" }, sentence),
  );
}

function clearErrors() {
  byId("modal-error").hidden = true;
  for (const error of byId("modal-body").querySelectorAll(".error")) error.remove();
  for (const input of byId("modal-body").querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}
