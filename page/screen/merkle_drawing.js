// The Merkle path as a drawing: from the leaf up to the checkpoint's root, the siblings beside it.
//
// Drawn by DOM calls from the values that verification computed. The same values stand under the
// drawing as a list, for those who do not see it and for comparing whole hashes.

import { toHex } from "../verifier/bytes.js";
import { draw, make } from "./elements.js";
import { say } from "./texts.js";

const [BOX_WIDTH, BOX_HEIGHT, ROW, GAP, MARGIN] = [190, 40, 74, 36, 8];

function box(x, y, caption, hash, className) {
  const short = `${hash.slice(0, 8)}…${hash.slice(-8)}`;
  return draw(
    "g",
    { class: className },
    draw("rect", { x, y, width: BOX_WIDTH, height: BOX_HEIGHT, rx: 6 }),
    draw("text", { class: "caption", x: x + 10, y: y + 16 }, caption),
    draw("text", { x: x + 10, y: y + 32 }, short),
  );
}

/** A figure of one path; `leaf` is its leaf hash and `walk` what `walkInclusion` gave. */
export function drawPath(language, title, leaf, index, size, walk) {
  const width = 2 * BOX_WIDTH + GAP + 2 * MARGIN;
  const height = (walk.length + 1) * ROW - (ROW - BOX_HEIGHT) + 2 * MARGIN;
  const description = say(language, "pathText", index, walk.length, size);
  const svg = draw("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": `${title}. ${description}`,
  });
  const nodes = [leaf, ...walk.map((step) => step.node)];
  const yOf = (level) => height - MARGIN - BOX_HEIGHT - level * ROW;
  // The way leans to the side its leaf is on: a sibling on the left pushes it to the right.
  const xOf = (level) => (walk[level]?.isSiblingLeft ? MARGIN + BOX_WIDTH + GAP : MARGIN);
  const xOfRoot = MARGIN + (BOX_WIDTH + GAP) / 2;
  const placeOf = (level) => (level === walk.length ? xOfRoot : xOf(level));
  const centre = (x) => x + BOX_WIDTH / 2;
  for (const [level, { isSiblingLeft }] of walk.entries()) {
    const [parentX, parentY] = [centre(placeOf(level + 1)), yOf(level + 1) + BOX_HEIGHT];
    const siblingX = isSiblingLeft ? MARGIN : MARGIN + BOX_WIDTH + GAP;
    for (const [x, className] of [[siblingX, ""], [placeOf(level), "way-line"]]) {
      svg.append(
        draw("line", { x1: centre(x), y1: yOf(level), x2: parentX, y2: parentY, class: className }),
      );
    }
  }
  for (const [level, node] of nodes.entries()) {
    const isRoot = level === walk.length;
    const leafCaption = level === 0 ? `${say(language, "leaf")} ${index}` : say(language, "computed");
    const caption = isRoot ? say(language, "root") : leafCaption;
    svg.append(box(placeOf(level), yOf(level), caption, toHex(node), isRoot ? "way root" : "way"));
    if (!isRoot) {
      const { sibling, isSiblingLeft } = walk[level];
      const x = isSiblingLeft ? MARGIN : MARGIN + BOX_WIDTH + GAP;
      svg.append(box(x, yOf(level), say(language, "sibling"), toHex(sibling), "beside"));
    }
  }
  const list = make("ol", { class: "mono" });
  list.append(make("li", {}, `${say(language, "leaf")} ${index}: ${toHex(leaf)}`));
  for (const { sibling, isSiblingLeft, node } of walk) {
    const [left, right] = isSiblingLeft ? [toHex(sibling), "·"] : ["·", toHex(sibling)];
    list.append(make("li", {}, `SHA-256(01 ‖ ${left} ‖ ${right}) = ${toHex(node)}`));
  }
  return make(
    "div",
    {},
    make("h3", {}, title),
    make("p", { class: "help" }, description),
    make("div", { class: "drawing" }, svg),
    make("details", {}, make("summary", {}, say(language, "hashes")), list),
  );
}
