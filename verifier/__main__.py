"""`python -m verifier`: the offline verifier on its own. See `verifier.main`."""

from __future__ import annotations

import sys

from verifier.main import main

try:
    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:
    sys.exit(130)
