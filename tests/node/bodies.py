"""Bodies for the tests of the node's intake: valid, small and all different."""

from __future__ import annotations

from ledger.transaction import encode_body


def make_bodies(count: int, *, party: str = "m-1", not_after: int = 10**12) -> list[bytes]:
    return [
        encode_body(
            data={"amount": 100 + at},
            kind="prepaid.prepay",
            not_after=not_after,
            reference=f"R-{at}",
            salt=f"{at:022d}",
            signers=[party],
            stream=f"contract/c-{at}",
            version=1,
        )
        for at in range(count)
    ]
