"""The same transactions give the same bytes in every process, whatever its hash seed and order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import hashlib, random
from tests.contracts.world import settled_world, terms

world = settled_world()
chance = random.Random("twenty blocks")
parties = ("m-1", "m-2", "c-1", "bank-0", "bank-1")
digest = hashlib.sha256()
for height in range(20):
    envelopes = []
    for _ in range(chance.randrange(12)):
        stream = f"contract/card-{chance.randrange(5)}"
        kind = chance.choice(("open", "prepay", "prepay", "consume", "refund"))
        data = terms(consumer_party="c-1") if kind == "open" else {"amount": chance.randrange(9)}
        signers = chance.sample(parties, chance.choice((1, 1, 1, 2)))
        reference = f"R-{chance.randrange(40)}"
        envelopes.append(
            world.submit(f"prepaid.{kind}", stream, data, *signers, reference=reference)
        )
    world.run(*envelopes)
    for part in (*world.block.entries, *[raw for _, raw in world.block.stored]):
        digest.update(part)
    digest.update(world.block.block_hash)
print(world.chain.header.height, digest.hexdigest())
"""


def run(hash_seed: str, *options: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *options, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_twenty_blocks_are_the_same_under_every_hash_seed() -> None:
    first = run("1")
    assert first.startswith("21 ")
    assert run("2") == first
    assert run("3", "-O") == first
