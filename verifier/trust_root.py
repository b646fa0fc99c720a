"""The trust root: what the genesis document says, once its hash is the one a person trusts.

The hash of the document's exact bytes is the chain id. From the document follow the validators, an
institution's place in the list being its replica number; the number f of them that may lie; the
quorum; and the name of the log. Only what verification needs is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NoReturn

from ledger import tags
from ledger.checkpoint import LogTrust, cosigner_verifier_key, log_verifier_key
from ledger.hashing import tagged_hash
from ledger.note import VerifierKey
from ledger.post_quantum import Member
from ledger.refusal import Reason, Rejected
from verifier.strict_json import JsonValue, read_object
from verifier.strict_msgpack import take_integer, write_array

FORMAT: Final = "evidence-ledger/genesis/v1"
INSTITUTIONS_MAX: Final = 64
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_NETWORK: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Institution:
    """One institution of genesis and the public keys of its validator."""

    id: str
    name_zh: str
    name_en: str
    vote_key: bytes
    cosign_key: bytes
    log_key: bytes
    party_key: bytes
    mldsa44: bytes | None
    """SHA-256 of its ML-DSA-44 public key, if genesis names one."""


@dataclass(frozen=True)
class TrustRoot:
    """Everything that follows from the genesis document; what is derived is derived once."""

    chain_id: bytes
    network: str
    institutions: tuple[Institution, ...]
    replay_window_ms: int
    """How far a transaction's `not_after` may lie after its block's time."""
    intake_heights: int
    """How far above the newest height a node's promise reaches."""

    @cached_property
    def origin(self) -> str:
        """Name of the log: network, '/' and the first 16 hex digits of the chain id."""
        return f"{self.network}/{self.chain_id.hex()[:16]}"

    @cached_property
    def faulty_max(self) -> int:
        """Return f = ⌊(n−1)/3⌋, the most institutions that may lie (Castro & Liskov 1999)."""
        return (len(self.institutions) - 1) // 3

    @cached_property
    def quorum(self) -> int:
        """Return ⌊(n+f)/2⌋+1: any two quorums share an honest institution."""
        return (len(self.institutions) + self.faulty_max) // 2 + 1

    @cached_property
    def validators_hash(self) -> bytes:
        """Hash of the validator set, which every header names."""
        return tagged_hash(
            tags.VALIDATOR_SET,
            write_array(
                [
                    [one.id, one.vote_key, one.cosign_key, one.log_key, one.party_key]
                    for one in self.institutions
                ]
            ),
        )

    @cached_property
    def log_trust(self) -> LogTrust:
        """Whom to believe about the log: its keys, whose name is the origin, and the cosigners."""
        return LogTrust(
            self.origin,
            tuple([log_verifier_key(self.origin, one.log_key) for one in self.institutions]),
            self.cosigner_keys,
            self.quorum,
        )

    @cached_property
    def post_quantum_members(self) -> tuple[Member, ...]:
        """Every institution as post-quantum cosignatures know it, by replica number."""
        return tuple([Member(f"{self.origin}/{one.id}", one.mldsa44) for one in self.institutions])

    @cached_property
    def cosigner_keys(self) -> tuple[VerifierKey, ...]:
        """Keys that cosign checkpoints, named `<origin>/<institution id>`, by replica number."""
        return tuple(
            [
                cosigner_verifier_key(f"{self.origin}/{one.id}", one.cosign_key)
                for one in self.institutions
            ]
        )

    @cached_property
    def line_keys(self) -> frozenset[tuple[str, bytes]]:
        """Name and key id of every signature line that a checkpoint of this log may have."""
        trust = self.log_trust
        return frozenset(
            [(key.name, key.key_id) for key in (*trust.log_keys, *trust.cosigner_keys)]
        )


@lru_cache(maxsize=4)
def compute_chain_id(document: bytes) -> bytes:
    """Return the hash of a genesis document's exact bytes; kept for the next file of its chain."""
    return tagged_hash(tags.CHAIN_ID, document)


@lru_cache(maxsize=4)
def read_trust_root(document: bytes) -> TrustRoot:
    """Read a genesis document; raise `Rejected`.

    Kept for the next file of the same chain; by then its hash is the trusted one (step 2).
    """
    members = read_object(document, "genesis")
    if members.get("format") != FORMAT:
        _refuse(f"format is {members.get('format')!r}; this verifier reads {FORMAT!r}")
    listed = members.get("institutions")
    if not isinstance(listed, list) or not 1 <= len(listed) <= INSTITUTIONS_MAX:
        _refuse(f"institutions is not a list of 1 to {INSTITUTIONS_MAX}")
    institutions = tuple([_read_institution(item) for item in listed])
    if len({one.id for one in institutions}) != len(institutions):
        _refuse(f"institution ids {[one.id for one in institutions]} are not distinct")
    keys = [
        key
        for one in institutions
        for key in (one.vote_key, one.cosign_key, one.log_key, one.party_key)
    ]
    if len(set(keys)) != len(keys):
        _refuse(f"{len(keys)} keys, of which only {len(set(keys))} are distinct")
    parameters = _take_object(members.get("parameters"), "parameters")
    return TrustRoot(
        chain_id=compute_chain_id(document),
        network=_take_text(members.get("network"), "network", _NETWORK),
        institutions=institutions,
        replay_window_ms=take_integer(
            parameters.get("replay_window_ms"), "genesis: replay_window_ms"
        ),
        intake_heights=take_integer(parameters.get("intake_heights"), "genesis: intake_heights"),
    )


def _read_institution(item: JsonValue) -> Institution:
    members = _take_object(item, "an institution")
    id_ = _take_text(members.get("id"), "an institution's id", _ID)
    name = _take_object(members.get("name"), f"{id_}: name")
    keys = _take_object(members.get("keys"), f"{id_}: keys")
    raw = {
        purpose: bytes.fromhex(_take_text(keys.get(purpose), f"{id_}: {purpose} key", _KEY))
        for purpose in ("vote", "cosign", "log", "party")
    }
    named = keys.get("mldsa44")
    return Institution(
        id=id_,
        name_zh=_take_text(name.get("zh"), f"{id_}: name in Chinese"),
        name_en=_take_text(name.get("en"), f"{id_}: name in English"),
        vote_key=raw["vote"],
        cosign_key=raw["cosign"],
        log_key=raw["log"],
        party_key=raw["party"],
        mldsa44=None
        if named is None
        else bytes.fromhex(_take_text(named, f"{id_}: mldsa44 key's hash", _KEY)),
    )


def _take_object(value: JsonValue, name: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        _refuse(f"{name} is not an object")
    return value


def _take_text(value: JsonValue, name: str, pattern: re.Pattern[str] | None = None) -> str:
    if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
        _refuse(f"{name} is missing or not as it must be")
    return value


def _refuse(detail: str) -> NoReturn:
    raise Rejected(Reason.BAD_FIELD, f"genesis: {detail}")
