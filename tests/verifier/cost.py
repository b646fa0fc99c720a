"""Prints what verifying each kind of evidence costs; needs no network.

    python -m tests.verifier.cost

Files of the tests' chains: one transaction, a plain contract's history, a case with two computed
refunds, a schedule of five contracts. They hold what such files hold and are rather small.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.verifying import HEAD, format_row, measure_first, measure_verifying
from tests.verifier import test_owed, test_schedule
from tests.verifier.mutating import honest
from tests.verifier.small_chain import CARD_SIGNERS, busy_chain

FILES: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "transaction": lambda: (honest().encode(), busy_chain().chain_id),
    "history": lambda: (busy_chain().history("card-1", CARD_SIGNERS), busy_chain().chain_id),
    "case": lambda: (test_owed.file(), test_owed.world().chain_id),
    "schedule": lambda: (test_schedule.whole(), test_schedule.world().chain_id),
}
"""Each with the hash of its genesis."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.verifier.cost",
        description="Set what verifying costs against the signature checks that a file demands.",
        epilog="Example: python -m tests.verifier.cost transaction case",
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(FILES)}; else all")
    kinds = parser.parse_args().kinds
    if unknown := [kind for kind in kinds if kind not in FILES]:
        parser.error(f"there is no kind {unknown[0]!r}; choose from {', '.join(FILES)}")
    print(HEAD)
    with TemporaryDirectory() as folder:
        for kind in kinds or FILES:
            raw, chain_id = FILES[kind]()
            file = Path(folder, kind)
            file.write_bytes(raw)
            one = measure_verifying(raw, chain_id)
            print(format_row(kind, one, measure_first(file, chain_id)), flush=True)


if __name__ == "__main__":
    main()
