// Exact amounts in fen: a fraction is `{ over, under }`, two BigInts, `under` above 0, in any terms.
//
// Nothing is brought to lowest terms, since amounts are compared by value alone; and nothing is rounded
// but once, as the terms say.

/** A fraction of whole numbers. */
export function fraction(over, under = 1n) {
  return { over: BigInt(over), under: BigInt(under) };
}

export function add(one, other) {
  if (one.under === other.under) return { over: one.over + other.over, under: one.under };
  return {
    over: one.over * other.under + other.over * one.under,
    under: one.under * other.under,
  };
}

export function subtract(one, other) {
  return add(one, { over: -other.over, under: other.under });
}

/** A fraction so many times. */
export function times(one, count) {
  return { over: one.over * BigInt(count), under: one.under };
}

/** The greater of two. */
export function greater(one, other) {
  return one.over * other.under >= other.over * one.under ? one : other;
}

/** The smaller of two. */
export function smaller(one, other) {
  return greater(one, other) === one ? other : one;
}

/** The greatest whole number that is not above `over / under`. */
export function floor(over, under) {
  const whole = over / under;
  return over < 0n && whole * under !== over ? whole - 1n : whole;
}

export function least(one, other) {
  return one < other ? one : other;
}

export function most(one, other) {
  return one > other ? one : other;
}

/** Whole fen, a multiple of the unit (a BigInt): `half_up`, `half_even`, `up` or `down`. */
export function round({ over, under }, { mode, unit }) {
  const whole = unit * under;
  const below = floor(over, whole);
  const rest = over - below * whole;
  const isUp = {
    down: false,
    up: rest > 0n,
    half_up: 2n * rest >= whole,
    half_even: 2n * rest > whole || (2n * rest === whole && below % 2n !== 0n),
  }[mode];
  return (isUp ? below + 1n : below) * unit;
}

/** To a fen, half up: for what is told and not owed. */
export const FEN = { mode: "half_up", unit: 1n };
