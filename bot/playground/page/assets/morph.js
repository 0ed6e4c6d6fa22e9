/** Changes what is shown into what the server rendered anew, but not what a person filled in. */

const CONTROLS = "input, textarea, select";
// What changes while one reads (an open menu, a marked input) is no difference.
const OWN = [
  "open", "hidden", "aria-invalid", "aria-describedby", "aria-busy", "checked", "selected",
  "tabindex",
];

const touched = new WeakSet();

document.addEventListener("input", ({ target }) => groupOf(target).forEach(touch), true);

/** Makes the children of `place` like those of `fresh`, touching only what differs. */
export function morph(place, fresh) {
  const olds = [...place.childNodes];
  for (const node of [...fresh.childNodes]) {
    const at = mateOf(node, olds);
    olds.splice(0, Math.max(at, 0)).forEach((left) => left.remove());
    if (at < 0) place.insertBefore(node, olds[0] ?? null);
    else update(olds.shift(), node);
  }
  olds.forEach((left) => left.remove());
}

/** Where the first is that can become `node`; a block is passed over only for another. */
function mateOf(node, olds) {
  const at = olds.findIndex((old) => isAlike(old, node));
  return at > 0 && !isBlock(node) && olds.slice(0, at).some(isBlock) ? -1 : at;
}

function update(old, node) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
  } else if (old.matches(CONTROLS) && !isInUse(old)) {
    if (!old.isEqualNode(node)) old.replaceWith(node);
  } else if (!old.matches("textarea")) {
    morph(old, node); // other options of a select that is in use, too
  }
}

function isAlike(old, node) {
  if (old.nodeType !== node.nodeType || old.nodeName !== node.nodeName) return false;
  return old.nodeType !== Node.ELEMENT_NODE || attributesOf(old) === attributesOf(node);
}

function attributesOf(node) {
  const own = isTypedInto(node) ? [...OWN, "value"] : OWN;
  return [...node.attributes]
    .filter(({ name }) => !own.includes(name))
    .map(({ name, value }) => `${name}=${value}`)
    .sort()
    .join("\n");
}

/** The value of a box that is ticked says which it is, that of others what they hold. */
function isTypedInto(node) {
  return node.matches("input") && !["radio", "checkbox"].includes(node.type);
}

function isBlock(node) {
  return Boolean(node.dataset?.block);
}

/** Whether the person is in it, or has changed it: then it keeps what it holds, as in Slack. */
function isInUse(control) {
  return control === document.activeElement || touched.has(control);
}

function touch(control) {
  touched.add(control);
}

/** Of radio buttons one is chosen instead of another. */
function groupOf(control) {
  return control.type === "radio" ? document.getElementsByName(control.name) : [control];
}
