"""Standard input, output and error as a program expects them: there, and able to take any text.

Who starts a program may have closed one of them (`>&-`), wanting the exit status alone. Python then
has None in its place, and the next file that is opened gets the free descriptor: what somebody
prints there would stand in that file. So each that is missing is opened on nothing, first of all.
"""

from __future__ import annotations

import os
import sys


def prepare_standard_streams() -> None:
    """Open what is closed; let a terminal without Chinese show code points instead of failing."""
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _open_closed() -> None:
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: the closed one
            os.set_inheritable(nothing, True)
            setattr(sys, name, os.fdopen(nothing, mode, encoding="utf-8"))
