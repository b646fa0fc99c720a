"""Prints what verifying each kind of evidence costs; needs no network.

    python -m tests.verifier.cost

Files of the tests' chains, one of each kind and of each question that a record is asked. They hold
what such files hold and are rather small; so there are records of ten, forty and a hundred visits
beside them, each signed by merchant and consumer as agreed terms would have it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.verifying import HEAD, format_row, measure_first, measure_verifying
from tests.contracts.life_world import paid_world
from tests.contracts.test_claims import crowded, stream_of
from tests.contracts.test_contract import CUT
from tests.contracts.test_refunds import AS_OF
from tests.verifier import (
    equivocations,
    proof_files,
    statements,
    test_disclosure,
    test_liabilities,
    test_owed,
    test_platform_statement,
    test_post_quantum,
    test_proofs,
    test_schedule,
    test_timestamps,
)
from tests.verifier.mutating import honest
from tests.verifier.small_chain import CARD_SIGNERS, SmallChain, busy_chain, open_busy_chain


def _disclosed() -> bytes:
    return test_disclosure.history(test_disclosure.show(test_disclosure.FIRST, "name"))


def _with_platform() -> bytes:
    return test_platform_statement.with_statements(
        *[test_platform_statement.of_bank(at) for at in range(4)]
    )


def _visited(visits: int) -> tuple[bytes, bytes]:
    """A plain contract's history, ten visits to a block."""
    chain = open_busy_chain()
    used = [
        chain.submit("prepaid.consume", "contract/card-1", {"amount": 100 + number}, "m-1", "c-1")
        for number in range(visits)
    ]
    for first in range(0, visits, 10):
        chain.commit(*used[first : first + 10])
    return chain.history("card-1", CARD_SIGNERS), chain.chain_id


def _visited_and_owed(visits: int) -> tuple[bytes, bytes]:
    """A contract under terms, used and then computed, each of the three causes possible."""
    world = paid_world()
    world.publish_data()
    for _ in range(visits):
        world.event("service.delivered", CUT | {"debited": 100}, "m-1", "c-1")
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    return world.history("card-1", ("m-1", "c-1", "bank-0")), world.chain_id


def _scheduled(contracts: int) -> tuple[bytes, bytes]:
    """A merchant's schedule, three visits and one computation to a contract, all of one height."""
    world = crowded(contracts)
    world.publish_data()
    visit = CUT | {"debited": 100}
    names = [stream_of(at) for at in range(contracts)]
    for name in names:
        visits = [world.submit("service.delivered", name, visit, "m-1", "c-1") for _ in range(3)]
        world.run(*visits, world.submit("refund.computed", name, {"as_of": AS_OF}, "c-1"))
    lines = [test_schedule.line_of(world, name.removeprefix("contract/")) for name in names]
    return b"".join([test_schedule.head_of(world), *lines]), world.chain_id


def _of(
    chain: Callable[[], SmallChain], make: Callable[[], bytes]
) -> Callable[[], tuple[bytes, bytes]]:
    return lambda: (make(), chain().chain_id)


FILES: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "transaction": lambda: (honest().encode(), busy_chain().chain_id),
    "history": lambda: (busy_chain().history("card-1", CARD_SIGNERS), busy_chain().chain_id),
    "case": lambda: (test_owed.file(), test_owed.world().chain_id),
    **{
        f"{name}, {visits} visits": partial(make, visits)
        for name, make in (("history", _visited), ("case", _visited_and_owed))
        for visits in (10, 40, 100)
    },
    "schedule": lambda: (test_schedule.whole(), test_schedule.world().chain_id),
    "schedule of forty": lambda: _scheduled(40),
    "history with a disclosed field": _of(test_disclosure.chain, _disclosed),
    "history with post-quantum cosignatures": _of(
        lambda: test_post_quantum.chain()[0], test_post_quantum.good
    ),
    "history with time stamps": _of(lambda: test_timestamps.chain()[0], test_timestamps.good),
    "history with platform statements": _of(
        lambda: test_platform_statement.chain()[0], _with_platform
    ),
    "liabilities": _of(test_liabilities.world, test_liabilities.one),
    "state": _of(busy_chain, proof_files.state),
    "consistency": _of(busy_chain, proof_files.consistency),
    "equivocation": _of(busy_chain, lambda: equivocations.lie(equivocations.make_votes())),
    "statement": _of(lambda: statements.good().chain, lambda: statements.good().transparent()),
    **{
        f"record: {name}": _of(
            lambda name=name: test_proofs.BASES[name]()[0],
            lambda name=name: test_proofs.base(name),
        )
        for name in test_proofs.BASES
    },
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
