/** Makes elements; only `parsed` reads HTML, and only what the server rendered. */

const policy = globalThis.trustedTypes?.createPolicy("page", { createHTML: (html) => html })
  ?? { createHTML: (html) => html };

const NEAR_END = 40; // px

/** The element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element; attributes that are false or null are left out, texts become text nodes. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** One of the drawings at the foot of index.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "glyph");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button that is only a drawing; `label` is its name for screen readers and its tooltip. */
export function iconButton(label, drawing, press) {
  const button = element(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label },
    icon(drawing),
  );
  button.addEventListener("click", press);
  return button;
}

/** A button with words. */
export function textButton(words, className, press) {
  const button = element("button", { type: "button", class: className }, words);
  button.addEventListener("click", press);
  return button;
}

/** HTML rendered by the server as nodes, with a way to copy each piece of code, and pictures. */
export function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  for (const pre of template.content.querySelectorAll("pre")) {
    const button = element(
      "button", { type: "button", class: "copy", "aria-label": "Copy the code" }, "Copy",
    );
    const frame = element("div", { class: "code" });
    pre.tabIndex = 0;
    pre.replaceWith(frame);
    frame.append(pre, button);
  }
  for (const file of template.content.querySelectorAll('.file[data-type="image"]')) {
    const address = `/files/${encodeURIComponent(file.dataset.value)}`;
    file.append(element("img", { src: address, alt: "", loading: "lazy" }));
  }
  for (const table of template.content.querySelectorAll("div.table")) {
    table.tabIndex = 0;
    table.setAttribute("role", "region");
    table.setAttribute("aria-label", "Table");
  }
  return template.content;
}

/** Keeps a place at its end while it grows, as long as its reader is at the end. */
export function stickToEnd(scroller, content, { latest = null } = {}) {
  let isAtEnd = true;
  let top = 0;
  let height = 0;
  const toEnd = () => {
    // What stands in place of an empty list is read from its beginning.
    scroller.scrollTop = content.childElementCount ? scroller.scrollHeight : 0;
  };
  scroller.addEventListener("scroll", () => {
    const { scrollHeight, scrollTop, clientHeight } = scroller;
    // Only a reader who goes up leaves the end; it also moves away by itself, as sizes change.
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) isAtEnd = true;
    else if (scrollTop < top && scrollHeight === height) isAtEnd = false;
    [top, height] = [scrollTop, scrollHeight];
    if (latest) latest.hidden = isAtEnd;
  });
  const observer = new ResizeObserver(() => isAtEnd && toEnd());
  observer.observe(scroller);
  observer.observe(content);
  latest?.addEventListener("click", toEnd);
  return () => {
    isAtEnd = true;
    toEnd();
  };
}
