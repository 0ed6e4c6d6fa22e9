/** A text box as high as its text, where the style sheet alone cannot make it so. */

const TALLEST = 0.4; // of the window

/** Fits the box now and whenever its text changes; returns what fits it. */
export function autosize(box) {
  if (CSS.supports("field-sizing", "content")) return () => {};
  const fit = () => {
    box.style.setProperty("height", "auto");
    box.style.setProperty("height", `${Math.min(box.scrollHeight, innerHeight * TALLEST)}px`);
  };
  box.addEventListener("input", fit);
  fit();
  return fit;
}
