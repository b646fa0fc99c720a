"""Every kind of liar there is, in the order in which seeds choose among them.

The order is part of what a seed means: a new kind is added at the end.
"""

from __future__ import annotations

from typing import Final

from sim.liars.flooding import Babbler, Flooder, Oversizer
from sim.liars.liar import Liar
from sim.liars.misleading import FalseHistorian, FalseWitness, ForkCosigner
from sim.liars.proposing import Censor, Equivocator, Laggard, NewViewForger, WrongRoot
from sim.liars.voting import (
    ClaimChanger,
    Denier,
    DoubleVoter,
    FalsePreparer,
    Replayer,
    Rusher,
    TwoFacedPrimary,
    ViewChangeForger,
)
from sim.liars.withholding import Selective, Silent, Withholder

LIARS: Final[tuple[type[Liar], ...]] = (
    Equivocator,
    WrongRoot,
    Laggard,
    Censor,
    NewViewForger,
    DoubleVoter,
    TwoFacedPrimary,
    ClaimChanger,
    Denier,
    Replayer,
    ViewChangeForger,
    FalsePreparer,
    Rusher,
    Silent,
    Selective,
    Withholder,
    Babbler,
    Oversizer,
    Flooder,
    FalseHistorian,
    ForkCosigner,
    FalseWitness,
)

TWINS: Final = "twins"
"""The name under which two processes with one identity are counted; they run the honest code."""
