"""Seeds that once failed, each with its story. A seed never leaves this list.

What a seed means changes when the simulator draws differently; where a story names the mistake, a
test makes that mistake again and sees that the seed still finds it.
"""

from __future__ import annotations

from typing import Final

STEP_INSIDE_A_STEP: Final[dict[int, str]] = {
    31: "Four nodes that crash: the cosigned size in the journal goes back by one block.",
    33: (
        "A single node. The shell stepped `Committed` inside the effects of the step that caused "
        "it, so the outer step's journal record was written over the inner step's newer one, and "
        "a smaller tree was cosigned after a larger one."
    ),
    54: "Five nodes in bad weather: a vote of the next height was sent and then forgotten.",
}

REGRESSIONS: Final[dict[int, str]] = {
    **STEP_INSIDE_A_STEP,
    8: "Three slow nodes catch up; the same mistake, found when the simulator drew otherwise.",
    48: "Six nodes with a liar and a recovery; likewise.",
    3343: (
        "A node whose clock is an hour ahead dated its evidence of a double voter by that clock; "
        "no other node would take it."
    ),
}
