"""Named refusals: what was wrong with bytes that somebody else sent.

`Rejected` means *theirs*: the input is at fault, the ledger is unharmed. Its `reason` is a stable
word that programs match on; its `detail` is a whole sentence, offending values included, that a
person can act on. What a client meets at a node's door says the same in Chinese, as `detail_zh`;
elsewhere that is empty, and whoever shows the refusal says its reason in Chinese. Neither sentence
is ever hashed or recorded. Mistakes of our own are ordinary exceptions and are never turned into
this one. A transaction that was admitted but could not be applied is not `Rejected`; it is an
outcome (`ledger.transaction.Outcome`), recorded on the chain.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why input was refused at the door."""

    MALFORMED = "malformed"
    NOT_CANONICAL = "not_canonical"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    NOT_INTEGER = "not_integer"
    BAD_FIELD = "bad_field"
    BAD_SIGNATURE = "bad_signature"
    SIGNATURE_COUNT = "signature_count"
    BAD_BATCH_PATH = "bad_batch_path"
    UNKNOWN_PARTY = "unknown_party"
    UNKNOWN_KEY = "unknown_key"
    KEY_NOT_VALID = "key_not_valid"
    STALE = "stale"
    TOO_FAR_AHEAD = "too_far_ahead"
    DUPLICATE = "duplicate"
    UNKNOWN_KIND = "unknown_kind"
    WRONG_CHAIN = "wrong_chain"
    WRONG_HEIGHT = "wrong_height"
    NOT_A_VALIDATOR = "not_a_validator"
    NO_QUORUM = "no_quorum"
    BAD_PROOF = "bad_proof"
    ROOT_MISMATCH = "root_mismatch"
    QUOTA_EXCEEDED = "quota_exceeded"
    POOL_FULL = "pool_full"
    SET_ASIDE = "set_aside"
    TOO_MANY_ATTEMPTS = "too_many_attempts"


class Rejected(Exception):
    """Input from outside was refused; `reason` names why, `detail` says it in a sentence."""

    def __init__(self, reason: Reason, detail: str, detail_zh: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.detail_zh = detail_zh
