/** The files that go with the next message: chosen, dropped or pasted, and taken away again. */

import { toast } from "./announcer.js";
import { upload } from "./deeds.js";
import { element, iconButton } from "./dom.js";

const MOST = 10; // of one message, as in Slack
const UNITS = [["MB", 1e6], ["kB", 1e3]];

// A file that misses its place would be opened by the browser in place of the page.
for (const type of ["dragover", "drop"]) {
  document.addEventListener(type, (event) => holdsFiles(event) && event.preventDefault());
}

export class Attachments {
  /**
   * @param {object} options
   * @param {HTMLElement} options.pane where files may be dropped
   * @param {HTMLElement} options.box where they may be pasted
   * @param {() => void} options.changed
   */
  constructor({ pane, box, changed }) {
    this.changed = changed;
    this.places = new Map(); // the files of each place in which one writes
    this.place = "";
    this.input = element("input", { type: "file", multiple: true, hidden: true });
    this.button = iconButton("Attach files", "attach", () => this.input.click());
    this.button.classList.add("attach");
    this.list = element("ul", { class: "attachments", "aria-label": "Files to send", hidden: true });
    this.input.addEventListener("change", () => {
      this.#add(this.input.files);
      this.input.value = ""; // or the same file could not be chosen again
    });
    box.addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      this.#add(event.clipboardData.files);
    });
    pane.addEventListener("dragover", (event) => pane.classList.toggle("dropping", holdsFiles(event)));
    pane.addEventListener("dragleave", () => pane.classList.remove("dropping"));
    pane.addEventListener("drop", (event) => {
      pane.classList.remove("dropping");
      this.#add(event.dataTransfer.files);
      box.focus();
    });
  }

  /** The files that wait here. */
  get files() {
    return this.places.get(this.place) ?? [];
  }

  /** Shows those of the place that is now in view. */
  show(place) {
    this.place = place;
    this.#draw();
  }

  /** Takes them out, to be sent. */
  take() {
    const { files } = this;
    this.#keep([]);
    return files;
  }

  /** Puts them back, as they could not be sent. */
  giveBack(files) {
    this.#keep([...files, ...this.files]);
  }

  #add(found) {
    const files = [...this.files, ...found];
    if (files.length > MOST) toast(`A message may have ${MOST} files.`);
    this.#keep(files.slice(0, MOST));
  }

  #keep(files) {
    if (files.length) this.places.set(this.place, files);
    else this.places.delete(this.place);
    this.#draw();
    this.changed();
  }

  #draw() {
    this.list.hidden = !this.files.length;
    this.list.replaceChildren(...this.files.map((file) => {
      const away = iconButton(`Remove ${file.name}`, "close", () => {
        this.#keep(this.files.filter((other) => other !== file));
        this.button.focus();
      });
      return element(
        "li", { class: "attachment-chip" },
        element("span", { class: "attachment-name" }, file.name),
        element("span", { class: "quiet" }, inWords(file.size)), away,
      );
    }));
  }
}

/** Uploads them one after the other; their ids. @throws {Error} with a sentence. */
export async function uploaded(user, files) {
  const ids = [];
  for (const file of files) ids.push(await upload(user, file));
  return ids;
}

function holdsFiles({ dataTransfer }) {
  return [...(dataTransfer?.types ?? [])].includes("Files");
}

function inWords(size) {
  const [unit, bytes] = UNITS.find(([, least]) => size >= least) ?? ["bytes", 1];
  return `${Number((size / bytes).toPrecision(3))} ${unit}`;
}
