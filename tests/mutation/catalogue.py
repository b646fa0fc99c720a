"""All mutants, in the order of the packages they break."""

from __future__ import annotations

from tests.mutation import (
    of_cli,
    of_consensus,
    of_contracts,
    of_inspection,
    of_ledger,
    of_node,
    of_proofs,
    of_storage,
    of_verifier,
)
from tests.mutation.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *of_consensus.MUTANTS,
    *of_ledger.MUTANTS,
    *of_storage.MUTANTS,
    *of_contracts.MUTANTS,
    *of_node.MUTANTS,
    *of_verifier.MUTANTS,
    *of_proofs.MUTANTS,
    *of_cli.MUTANTS,
    *of_inspection.MUTANTS,
)
