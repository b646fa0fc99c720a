"""A real node process with short segments: `python -m tests.system.short_segments_node HOME`.

A segment has 256 MiB, more than any test writes. Everything else is the node's own.
"""

from __future__ import annotations

import sys

from cli.main import main
from storage.chain import ChainStore

SEGMENT_BYTES = 8192

if __name__ == "__main__":
    defaults = ChainStore.open.__func__.__kwdefaults__  # type: ignore[attr-defined]
    defaults["segment_bytes"] = SEGMENT_BYTES
    sys.exit(main(["node", "run", "--home", sys.argv[1], "--until-stdin-closes"]))
