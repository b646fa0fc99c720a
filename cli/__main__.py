"""`python -m cli`: the command line without its installed name. See `cli.main`."""

from __future__ import annotations

import sys

from cli.main import main

sys.exit(main())
