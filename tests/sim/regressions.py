"""Seeds that once failed, each with its story. A seed never leaves this list."""

from __future__ import annotations

from typing import Final

REGRESSIONS: Final[dict[int, str]] = {
    33: (
        "A single node. The shell stepped `Committed` inside the effects of the step that caused "
        "it, so the outer step's journal record was written over the inner step's newer one."
    ),
    54: "The same among five nodes: a vote of the next height was sent and then forgotten.",
    74: "The same with a double voter on the wire.",
    61: "A bit rotted while the node was down: found at its next start, the ledger fetched again.",
}
