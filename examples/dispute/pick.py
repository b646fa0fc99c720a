#!/usr/bin/env python3
"""Print one member of a JSON file, or of the line of a JSON Lines file that has a reference.

python examples/dispute/pick.py net/devnet.json genesis_hash
python examples/dispute/pick.py report.json facts.block_time_ms
python examples/dispute/pick.py gym/3-closing.results.jsonl tx_id lift-23-frozen
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Find it and print it."""
    path, members, *reference = sys.argv[1:]
    text = Path(path).read_text("utf-8")
    if reference:
        objects = [json.loads(line) for line in text.splitlines()]
        found = next(each for each in objects if each["reference"] == reference[0])
    else:
        found = json.loads(text)
    for member in members.split("."):
        found = found[member]
    print(found)


if __name__ == "__main__":
    main()
