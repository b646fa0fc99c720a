"""docs/MUTATIONS.md, made from the list of mutants."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tests.mutation.mutant import Mutant

DOCUMENT = "docs/MUTATIONS.md"

PACKAGES = ("consensus", "ledger", "storage", "contracts", "law", "node", "cli", "verifier")

HEAD = """\
# Mutations

What would be noticed. Each line is one mistake put into the code, alone, in a copy of the tree, \
and the quickest test that fails on it; a few name a seed of the simulator too. A mistake that \
nothing noticed would mean that a test is missing. With CAMPAIGN=1 `scripts/test` \
runs them all; so does `scripts/mutate`, which writes this page with `--write` once \
every one is caught.

```sh
scripts/mutate                    # each against its test
scripts/mutate quorum-one-less    # one of them, with the way it was noticed
scripts/mutate --whole storage    # every test against each: who else notices?
```

A mutant is an exact piece of source and its replacement (`tests/mutation/of_*.py`). Where the \
source has moved on, the patch fails and says so, and somebody has to look at it again. They are \
made in Python: where a compiled kernel is built, the tests hold it to the plain one byte by byte. \
{count} mutants.
"""


def make_document(mutants: Sequence[Mutant]) -> str:
    """Return the page."""
    parts = [HEAD.format(count=len(mutants))]
    ordered = sorted(mutants, key=lambda mutant: PACKAGES.index(mutant.file.partition("/")[0]))
    for package, several in groupby(ordered, key=lambda mutant: mutant.file.partition("/")[0]):
        parts.append(
            f"## {package}\n\n| mutant | in | the mistake | caught by |\n|---|---|---|---|\n"
        )
        parts[-1] += "".join(_row(mutant) for mutant in several)
    return "\n".join(parts)


def _row(mutant: Mutant) -> str:
    file = mutant.file.partition("/")[2]
    catchers = f"`{mutant.caught_by}`"
    if mutant.seed:
        catchers += f"; `python -m sim {mutant.seed}`"
    return f"| `{mutant.name}` | `{file}` | {mutant.mistake} | {catchers} |\n"
