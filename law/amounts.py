"""Exact amounts: fractions of a fen until the end, then one rounding as the terms say.

There is no float anywhere. A fraction is written `numerator/denominator` in lowest terms, a whole
number without the stroke, so that a value has one spelling in a derivation.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

ROUNDING_MODES: Final = ("half_up", "half_even", "up", "down")
HALF: Final = Fraction(1, 2)

Exact = Fraction | int
"""An amount that is not rounded; a whole one is most quickly reckoned with as what it is."""


def divide(amount: int, by: int) -> Exact:
    """Return a quotient, exact."""
    whole, rest = divmod(amount, by)
    return Fraction(amount, by) if rest else whole


@dataclass(frozen=True, slots=True)
class Rounding:
    """How the terms round, and to what: `unit` is 1 for a fen, 100 for a yuan."""

    mode: str
    unit: int

    def round(self, amount: Exact) -> int:
        """Return `amount` (fen, not negative in practice) as whole fen, a multiple of the unit."""
        whole = self.unit * amount.denominator
        floor, rest = divmod(amount.numerator, whole)
        if self.mode == "down" or not rest:
            up = False
        elif self.mode == "up":
            up = True
        elif self.mode == "half_up":
            up = 2 * rest >= whole
        else:
            up = 2 * rest > whole or (2 * rest == whole and floor % 2 == 1)
        return (floor + up) * self.unit


FEN: Final = Rounding("half_up", 1)
"""For figures that are told and not owed."""


def show_exact(amount: Exact) -> str:
    """Write an exact number: `1200`, `15000/7`."""
    return str(amount)  # Fraction writes itself so


def show_yuan(fen: int) -> str:
    """Write fen as yuan: `1,200.00`."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def show_percent(ppm: int) -> str:
    """Write millionths as per cent: `3.1`, `0.35`."""
    whole, rest = divmod(ppm, 10_000)
    return str(whole) if not rest else f"{whole}.{rest:04d}".rstrip("0")
