"""`python -m verifier`: the offline verifier on its own. See `verifier.main`."""

from __future__ import annotations

import sys

from verifier.main import main

sys.exit(main(sys.argv[1:]))
