// Making elements. Text is always text: nothing here, or anywhere in the page, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; a string child becomes a text node. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A section with its heading. */
export function makeSection(id, title, className, ...children) {
  const heading = make("h2", { id: `${id}-title` }, title);
  return make("section", { id, class: className, "aria-labelledby": `${id}-title` }, heading, ...children);
}

const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\p{M}]/gu;

/**
 * A text of the file with what cannot be seen, turns the line around, or is a mark that lies on what is
 * beside it, shown as its code point.
 */
export function printable(text) {
  return text.replace(HIDDEN, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

/** The same of a text of several lines, whose ends stay. */
export function printableLines(text) {
  return text.split(/\r?\n/u).map(printable).join("\n");
}
