"""Every domain tag of the ledger, in one place.

A tag is put in front of whatever is hashed or signed, so that bytes made for one purpose can
never be taken for another (a prepare vote for a commit vote, a body for an envelope). Each tag is
ASCII and ends in its only NUL, so no tag is a prefix of another. The Merkle trees use the one-byte
prefixes of RFC 9162 section 2.1.1 instead, and checkpoints the lines of C2SP tlog-cosignature.
"""

from __future__ import annotations


def _tag(name: str) -> bytes:
    return b"evidence-ledger/v1/" + name.encode("ascii") + b"\0"


CHAIN_ID = _tag("chain-id")
"""Hash of the genesis document's exact bytes: the trust root."""
VALIDATOR_SET = _tag("validator-set")
BLOCK = _tag("block")
"""Hash of a header; what votes name."""

TX_ID = _tag("tx-id")
ENVELOPE = _tag("envelope")
REFERENCE = _tag("reference")
TX_SIGNATURE = _tag("tx-signature")
BATCH_SIGNATURE = _tag("batch-signature")
CONSUMER = _tag("consumer-commitment")
PRIVATE_FIELD = _tag("private-field")
"""Inside a leaf of the tree of a contract's private fields."""
PRIVATE_COMMITMENT = _tag("private-commitment")

STATE_KEY = _tag("state-key")
STATE_VALUE = _tag("state-value")

CLAIM = _tag("claim")
"""Name of a contract in its merchant's sum tree."""
SUM_LEAF = _tag("sum-leaf")
SUM_NODE = _tag("sum-node")
SUM_TOTAL = _tag("sum-total")

PRE_PREPARE = _tag("pre-prepare")
PREPARE = _tag("prepare")
COMMIT = _tag("commit")
VIEW_CHANGE = _tag("view-change")
NEW_VIEW = _tag("new-view")
STATUS = _tag("status")
INTAKE_RECEIPT = _tag("intake-receipt")
BATCH_RECEIPT = _tag("batch-receipt")
PLATFORM_STATEMENT = _tag("platform-statement")
"""What an institution says of its own node."""
SNAPSHOT = _tag("snapshot")
"""Hash of a snapshot's manifest: what institutions must agree on."""
