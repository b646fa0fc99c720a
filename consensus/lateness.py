"""How a replica notices that blocks above its own height are decided elsewhere.

Two proofs count: a commit certificate, and f+1 replicas that signed something at a height, since
one of them is correct and enters a height only after the one below is decided. Of each replica only
the highest height it signed at is kept, and the (f+1)-th highest counts, which f liars cannot
raise; a single huge number moves nothing. Every request names another source than the last, so a
peer that lies about its height or withholds blocks costs one interval.
"""

from __future__ import annotations

from consensus.actions import CatchUp
from consensus.membership import Membership
from consensus.timers import Timing
from ledger.votes import CommitCertificate


class HeightClaims:
    """The highest height each replica was seen voting at."""

    def __init__(self) -> None:
        self._highest: dict[int, int] = {}

    def is_news(self, replica: int, height: int) -> bool:
        """Return whether this replica was not yet seen so far ahead."""
        return height > self._highest.get(replica, 0)

    def add(self, replica: int, height: int) -> None:
        """Note that a replica signed something at a height."""
        if self.is_news(replica, height):
            self._highest[replica] = height

    def find_decided_height(self, weak_quorum: int) -> int:
        """Return the highest height that f+1 replicas must have decided, or 0."""
        highest = sorted(self._highest.values(), reverse=True)
        return highest[weak_quorum - 1] - 1 if len(highest) >= weak_quorum else 0

    def ahead_of(self, height: int) -> tuple[int, ...]:
        """Return the replicas that voted above a height, ascending."""
        return tuple(item for item in sorted(self._highest) if self._highest[item] > height)

    def forget_through(self, height: int) -> None:
        """Forget claims that are no longer ahead."""
        self._highest = {key: value for key, value in self._highest.items() if value > height}


class Lateness:
    """Decides when to catch up, and with whom."""

    def __init__(self, membership: Membership, timing: Timing) -> None:
        self._membership = membership
        self._timing = timing
        self._claims = HeightClaims()
        self._certificate: CommitCertificate | None = None
        """The highest verified certificate above the own height."""
        self._late_since_tick: int | None = None
        self._ask_from_tick = 0
        self._ask_count = 0

    def is_claim_news(self, replica: int, height: int) -> bool:
        """Return whether a signature of this replica at this height would say anything."""
        return self._claims.is_news(replica, height)

    def add_claim(self, replica: int, height: int) -> None:
        """Note a verified signature of a replica at a height."""
        self._claims.add(replica, height)

    def is_certificate_news(self, certificate: CommitCertificate) -> bool:
        """Return whether a certificate is of a higher height than the one kept."""
        return self._certificate is None or certificate.height > self._certificate.height

    def add_certificate(self, certificate: CommitCertificate) -> None:
        """Keep a verified certificate of a height above the own."""
        if self.is_certificate_news(certificate):
            self._certificate = certificate

    def block_applied(self, height: int) -> None:
        """Forget what is no longer ahead."""
        self._claims.forget_through(height)
        if self._certificate is not None and self._certificate.height <= height:
            self._certificate = None
        self._late_since_tick = None

    def ask(self, height: int, ticks: int, is_applying: bool) -> CatchUp | None:
        """Return the request due now, if any, for a replica that works on `height`.

        One height behind is ordinary for a moment and becomes being late after an interval, unless
        that very block is being applied.
        """
        hint = self._claims.find_decided_height(self._membership.weak_quorum)
        if self._certificate is not None:
            hint = max(hint, self._certificate.height)
        if hint < height:
            self._late_since_tick = None
            return None
        if self._late_since_tick is None:
            self._late_since_tick = ticks
        interval_ticks = self._timing.catch_up_interval_ticks
        is_patient = is_applying or ticks < self._late_since_tick + interval_ticks
        if (hint == height and is_patient) or ticks < self._ask_from_tick:
            return None
        sources = set(self._claims.ahead_of(height))
        if self._certificate is not None:
            sources.update(item.replica for item in self._certificate.commits)
        sources.discard(self._membership.own)
        if not sources:
            return None
        source = sorted(sources)[self._ask_count % len(sources)]
        self._ask_count += 1
        self._ask_from_tick = ticks + interval_ticks
        return CatchUp(hint, source)
