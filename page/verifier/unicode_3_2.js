// The ledger's normal text, from the browser's newer tables (ADR 0025).
//
// A text is normal when each longest run of characters that Unicode 3.2 assigns is in its
// Normalization Form C. A character of a later version stays as it is; nothing composes with it or
// across it. Among those that 3.2 assigns normalization never changed in a way that makes another text
// normal (Unicode Stability Policy; the six corrected characters are normal in no version), so each
// run is judged as Unicode is today.

/** Unassigned in Unicode 3.2: gap before and length of each range, base 36. */
const RANGES = `
f5 1 i s 2m 2 1r h 28 g g 4 2 4 1 3 1 5 7 1 1 1 k 1 18 1 13 9 3r 1 1z 1 12 2 2 6 g x 12 2 7
1 13 1 2 6 h 1 n 1 a b r 5 5 n 1 e 1 3 1 1 q 5 m a 3y 2 f 1 e 1 u 3 r 1h 1e 9b 3 1 1h 2 i 2
5 3 p g 3 1 8 2 2 2 m 1 7 1 1 3 4 2 1 1 7 2 2 2 3 9 1 4 2 1 5 2 l 7 1 2 6 4 2 2 m 1 7 1 2 1
2 1 2 2 1 1 5 4 2 2 3 b 4 1 1 7 f c 3 1 7 1 1 1 3 1 m 1 7 1 2 1 5 2 a 1 3 1 3 2 1 f 1 5 a h
3 1 8 2 2 2 m 1 7 1 2 2 4 2 8 3 2 2 3 8 2 4 2 1 3 4 b h 2 1 6 3 3 1 4 3 2 1 1 1 2 3 2 3 3 3
8 1 3 4 5 3 3 1 4 9 1 f c e 3 1 8 1 3 1 n 1 a 1 5 4 7 1 3 1 4 7 2 9 2 4 a i 2 1 8 1 3 1 n 1
a 1 5 4 7 1 3 1 4 7 2 7 1 1 2 4 a i 2 1 8 1 3 1 n 1 g 4 6 2 3 1 4 9 1 8 2 4 a i 2 1 i 3 o 1
9 1 1 2 7 3 1 4 6 1 1 1 8 i 3 c 1m 4 t 11 2 1 1 2 2 1 1 2 1 6 4 1 7 1 3 1 1 1 1 2 2 1 d 1 3
2 5 1 1 1 6 2 a 2 2 y 20 1 y 6 r 4 8 1 10 1 f 2 1 1c y 1 5 1 2 1 7 3 4 6 q 1y 12 a 15 2 1 4
2i 5 1w 5 2a 6 7 1 1r 1 1 1 4 2 7 1 1 1 4 2 13 1 1 1 4 2 v 1 1 1 4 2 7 1 1 1 4 2 7 1 7 1 n 1
v 1 1 1 4 2 7 1 13 1 j 6 s z 2d c hi 9 t 3 29 f d 1 7 b n 9 k c d 1 3 1 2 c 2l 3 a m f 1 a 6
2g 8 16 11y 4c 4 2i 6 m 2 6 2 12 2 6 2 8 1 1 1 1 1 1 1 v 2 1h 1 f 1 e 2 6 1 j 2 3 1 9 1 2b 4
1 7 5 6 8 2 r h i u r l 1n 2 f 7 1d c fz 1d 13 p b l 4f 1 7o 2 2 1 2t 2 a 3b 4 1 4 2 s 1 z 1
1 1 4 3 1 1 7 2 1g 3 o 1 e h s 4 ls ow q 1 2h c 5y q c 4 1s 1 2e 2 2v 5 14 4 2m 1 14 1k 19 3
10 d 17 3 25 4 1b 1 3b 4 2r 2 v 1 52u 22 g4m 2i wd 3 1j 1fd 8mc 2k 6r2 2 1n 45 7 c 5 5 q 1 5
1 1 1 2 1 2 1 30 x a5 g 1s 2 1i 14 d 3 g g 4 c n 2 a 1 j 1 4 4 5 1 3r 2 1 1 5a 3 6 2 6 2 6 2
3 3 7 1 7 a 5 le v 1 4 c r 51 12 2 12 148i 6u a 13 3 50 f6 2d 1 1z 1 2 2 1 2 2 2 4 1 c 1 1 1
4 1 2 1 1t 1 4 2 8 1 7 1 s 1 4 1 5 1 1 3 7 1 9e 4 82 4 1e 7wg wyf g15 f2 fher 1 u 2o 1egw
1eke 2 1eke 2
`;

const UNASSIGNED = makePattern(RANGES.trim().split(/\s+/u));

function makePattern(numbers) {
  let at = 0;
  let ranges = "";
  for (let place = 0; place < numbers.length; place += 2) {
    const first = at + Number.parseInt(numbers[place], 36);
    at = first + Number.parseInt(numbers[place + 1], 36);
    ranges += `\\u{${first.toString(16)}}-\\u{${(at - 1).toString(16)}}`;
  }
  return new RegExp(`[${ranges}]`, "gu");
}

/** A run of marks in which sorting them would be felt: it takes the square of their number. */
const MANY_MARKS = /\p{M}{32,}/gu;

/** Whether each longest run of characters that Unicode 3.2 assigns is in Normalization Form C. */
export function isNormal(text) {
  if (hasDisorder(text)) return false;
  if (text.normalize("NFC") === text && text.search(UNASSIGNED) < 0) return true;
  return text.split(UNASSIGNED).every((run) => run.normalize("NFC") === run);
}

/** Whether two marks stand beside each other in an order that no normal text has, in any long run. */
function hasDisorder(text) {
  for (const [marks] of text.matchAll(MANY_MARKS)) {
    for (const run of marks.split(UNASSIGNED)) {
      let last = "";
      for (const mark of run) {
        const apart = last.normalize("NFD") + mark.normalize("NFD");
        if ((last + mark).normalize("NFD") !== apart) return true;
        last = mark;
      }
    }
  }
  return false;
}
