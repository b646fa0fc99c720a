"""Examples of the documentation: made-up values of the right shape, no personal data.

Hashes here are SHA-256 of a word and verify nothing; a test decodes every example as the type it
is an example of, so none can grow stale.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from api.problems import PROBLEMS, TYPE_PREFIX


def _hash(word: str) -> str:
    return sha256(word.encode()).hexdigest()


TX_ID: Final = _hash("transaction")
CONTRACT_ID: Final = "c-2026-000001"
HEIGHT: Final = 128
TIME_MS: Final = 1_767_225_600_000

BODY: Final = (
    '{"data":{"amount":8800,"channel":"ecny","item":"lesson","units":1},'
    '"kind":"prepaid.consume","not_after":1767225660000,"reference":"till-7/000123",'
    '"salt":"c2FsdC1zYWx0LXNhbHQtc2FsdA","signers":["merchant-1"],'
    f'"stream":"contract/{CONTRACT_ID}","version":1}}'
)

SUBMISSION: Final[dict[str, Any]] = {
    "body": BODY,
    "signatures": [{"public_key": _hash("key"), "signature": _hash("r") + _hash("s")}],
}
BATCH_SIGNED_SUBMISSION: Final[dict[str, Any]] = {
    "body": BODY,
    "signatures": [
        {
            "public_key": _hash("key"),
            "signature": _hash("r") + _hash("s"),
            "batch": {"index": 0, "size": 2, "path": [_hash("sibling")]},
        }
    ],
}
ACCEPTED: Final[dict[str, Any]] = {
    "tx_id": TX_ID,
    "status": "accepted",
    "receipt": {
        "chain_id": _hash("chain"),
        "format": "evidence-ledger/intake-receipt/v1",
        "height_max": HEIGHT + 10,
        "node": "bank-a",
        "public_key": _hash("party key"),
        "received_ms": TIME_MS,
        "signature": _hash("R") + _hash("S"),
        "tx_id": TX_ID,
    },
}
PENDING: Final[dict[str, Any]] = {
    "tx_id": TX_ID,
    "status": "pending",
    "received_ms": TIME_MS,
    "height_max": HEIGHT + 10,
}
PUBLIC_POSITION: Final[dict[str, Any]] = {
    "tx_id": TX_ID,
    "status": "applied",
    "certified": True,
    "index": 4711,
    "height": HEIGHT,
    "time_ms": TIME_MS + 400,
    "code": "",
}
POSITION: Final[dict[str, Any]] = {
    **PUBLIC_POSITION,
    "stream": f"contract/{CONTRACT_ID}",
    "effects": [["paid", 300_000], ["locked", 291_200], ["released", 8800], ["refunded", 0]],
}
PRIVATE_FORM: Final[dict[str, Any]] = {
    "fields": {"name": "示例消费者", "phone": "00000000000"},
    "replaces": None,
}
PRIVATE_WRITTEN: Final[dict[str, Any]] = {
    "commitment": _hash("commitment"),
    "contract": CONTRACT_ID,
    "created_ms": TIME_MS,
    "fields": ["name", "phone"],
    "replaces": None,
}
PRIVATE: Final[dict[str, Any]] = {
    "contract": CONTRACT_ID,
    "custodian": "bank-a",
    "records": [
        {
            "commitment": _hash("commitment"),
            "created_ms": TIME_MS,
            "fields": PRIVATE_FORM["fields"],
            "replaces": None,
        }
    ],
}
PRIVATE_ERASED: Final[dict[str, Any]] = {
    "commitments": [_hash("commitment")],
    "contract": CONTRACT_ID,
    "erased_ms": TIME_MS,
}
DISCLOSURE: Final[dict[str, Any]] = {
    "commitment": _hash("commitment"),
    "contract": CONTRACT_ID,
    "fields": [
        {
            "name": "phone",
            "path": [_hash(f"sibling {at}") for at in range(5)],
            "salt": _hash("salt")[:32],
            "value": "00000000000",
        }
    ],
    "format": "evidence-ledger/disclosure/v1",
}
BATCH: Final[dict[str, Any]] = {"transactions": [SUBMISSION, BATCH_SIGNED_SUBMISSION]}
CHECKPOINT: Final = (
    f"pilot.example/{_hash('chain')[:16]}\n4900\n"
    "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=\n\n— pilot.example/… …\n"
)
PROOF: Final = f"c2sp.org/tlog-proof@v1\nindex 4711\n…\n\n{CHECKPOINT}"

SIZE: Final = 4900
TIMESTAMPS: Final[dict[str, Any]] = {
    "asked_ms": TIME_MS + 5000,
    "checkpoint": CHECKPOINT,
    "format": "evidence-ledger/timestamps/v1",
    "size": SIZE,
    "timestamps": [
        {
            "authority": "tsa-1",
            "hash": "sm3",
            "policy": "1.3.6.1.4.1.32473.7.1",
            "serial": "90210",
            "time_ms": TIME_MS + 6000,
            "token": "MIIDhDADAgEA",
        }
    ],
}
WITNESSED: Final[dict[str, Any]] = {
    "asked_ms": TIME_MS + 5000,
    "checkpoint": CHECKPOINT,
    "cosignatures": [{"line": "— court.example/witness …", "witness": "court"}],
    "format": "evidence-ledger/witnessed/v1",
    "size": SIZE,
}
POST_QUANTUM: Final[dict[str, Any]] = {
    "checkpoint": "shenzhen-prepaid/0011…\n4712\n…=\n\n— shenzhen-prepaid/0011…/bank-a …\n",
    "format": "evidence-ledger/post-quantum/v1",
    "height": 1024,
    "keys": ["…"],
    "path": ["3q2+7w…="],
    "size": SIZE,
}
PLATFORM: Final[dict[str, Any]] = {
    "format": "evidence-ledger/platform-statement/v1",
    "signature": "5d" * 64,
    "statement": {
        "build": {"files": 409, "sha256": "3f" * 32},
        "chain_id": "2a" * 32,
        "conflicts_of_interest": "",
        "cryptography": ["Ed25519 (RFC 8032), strict as libsodium is"],
        "health": {
            "certified_height": 1023,
            "detail": "",
            "height": 1024,
            "is_ready": True,
            "mode": "normal",
            "peers_connected": 3,
        },
        "kernel": {"kind": "native", "sha256": "7c" * 32},
        "node": "bank-a",
        "operator": {"en": "Bank A", "zh": "甲银行"},
        "time_ms": TIME_MS,
        "time_source": {
            "error_max_us": 1500,
            "is_synchronized": True,
            "text": "NTP from the national time service",
        },
        "version": "0.1.0",
        "versions": {"python": "CPython 3.11.7"},
    },
}
TRANSACTION_TIMESTAMPS: Final[dict[str, Any]] = {
    "format": "evidence-ledger/transaction-timestamps/v1",
    "index": 4711,
    "proof": PROOF,
    "timestamps": TIMESTAMPS,
}


def problem(reason: str, detail: str, detail_zh: str, instance: str) -> dict[str, Any]:
    """Return the example of a problem."""
    status, title, title_zh = PROBLEMS[reason]
    return {
        "type": TYPE_PREFIX + reason,
        "title": title,
        "title_zh": title_zh,
        "status": status,
        "detail": detail,
        "detail_zh": detail_zh,
        "instance": instance,
        "reason": reason,
        "request_id": "5f3c9a7e21d04b86",
    }


BATCH_RESULT: Final[dict[str, Any]] = {
    "accepted": 1,
    "known": 0,
    "refused": 1,
    "results": [
        {"http_status": 202, "accepted": {"tx_id": TX_ID, "status": "accepted"}},
        {
            "http_status": 422,
            "problem": problem(
                "stale",
                "not_after 2026-01-01 00:01:00.000 UTC (1767225660000 ms) is 3000 ms before "
                "2026-01-01 00:01:03.000 UTC; sign it anew with a later not_after",
                "截止时间 not_after 为北京时间 2026-01-01 08:01:00.000（1767225660000 毫秒），早于"
                "北京时间 2026-01-01 08:01:03.000，相差 3000 毫秒；请以更晚的截止时间重新签名",
                "/v1/transactions:batch#1",
            ),
        },
    ],
    "receipt": {
        "chain_id": _hash("chain"),
        "format": "evidence-ledger/batch-receipt/v1",
        "height_max": HEIGHT + 10,
        "node": "bank-a",
        "public_key": _hash("party key"),
        "received_ms": TIME_MS,
        "root": _hash("root of the accepted ids"),
        "signature": _hash("R") + _hash("S"),
        "size": 1,
    },
}
CONTRACT: Final[dict[str, Any]] = {
    "contract": CONTRACT_ID,
    "height": HEIGHT,
    "count": 3,
    "root": _hash("stream"),
    "record": {
        "merchant": "merchant-1",
        "custodian": "bank-a",
        "paid": 300_000,
        "locked": 291_200,
        "released": 8800,
        "refunded": 0,
    },
}
BLOCK: Final[dict[str, Any]] = {
    "block_hash": _hash("block"),
    "certified": True,
    "header": {
        "version": 1,
        "chain_id": _hash("chain"),
        "height": HEIGHT,
        "parent_hash": _hash("parent"),
        "time_ms": TIME_MS + 400,
        "proposer": 0,
        "first_index": 4711,
        "count": 1,
        "log_root": _hash("log"),
        "state_root": _hash("state"),
        "validators_hash": _hash("validators"),
        "rule_pack_version": 1,
    },
    "header_bytes": "nAE=",
    "certificate": {
        "view": 0,
        "votes": [{"replica": r, "signature": _hash("vote") * 2} for r in range(3)],
    },
    "transactions": [TX_ID],
}
STATUS: Final[dict[str, Any]] = {
    "node": "bank-a",
    "network": "pilot.example",
    "chain_id": _hash("chain"),
    "origin": f"pilot.example/{_hash('chain')[:16]}",
    "version": "0.1.0",
    "mode": "normal",
    "detail": "",
    "detail_zh": "",
    "height": HEIGHT,
    "block_hash": _hash("block"),
    "time_ms": TIME_MS + 400,
    "log_size": 4713,
    "log_root": _hash("log after"),
    "state_root": _hash("state"),
    "certified_height": HEIGHT,
    "certified_size": 4713,
    "view": 0,
    "primary": 1,
    "validator_count": 4,
    "quorum": 3,
    "peers_connected": 3,
    "pool_count": 0,
    "pool_bytes": 0,
}
QUESTION: Final[dict[str, Any]] = {
    "ask": "window",
    "from": TIME_MS,
    "kinds": ["service.delivered"],
    "until": TIME_MS + 86_400_000,
}
EVIDENCE: Final[dict[str, Any]] = {"format": "…", "entry": "…", "proof": "…", "header": "…"}
HISTORY: Final[dict[str, Any]] = {"format": "…", "entries": ["…"], "state_proof": "…"}
LIABILITIES: Final[dict[str, Any]] = {
    "kind": "liabilities",
    "merchant": {"proof": "…", "stream": "merchant/merchant-1", "value": "…"},
    "claims": [
        {"locked": 291_200, "name": "…", "owed": 0, "path": ["…"], "place": 0, "shown": None}
    ],
}
SCHEDULE: Final = (
    '{"format":"evidence-ledger/schedule/v1","genesis":"…","header":"…","header_proof":"…",'
    '"merchant":{"proof":"…","stream":"merchant/merchant-1","value":"…"}}\n'
    '{"contract":"c-1","entries":["…"],"format":"…","header":"…","kind":"case"}\n'
)
