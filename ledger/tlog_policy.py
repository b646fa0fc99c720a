"""The trust root as a tlog-policy file (C2SP tlog-policy, of 2026-06).

Written from genesis, it tells any tool of that ecosystem what we tell our own verifier: which keys
sign as the log, which cosigners there are, and that k of them make a quorum. One `log` line for
each institution, all with the log's origin as key name, since each signs as the log. We only write
it; our own verifier takes its trust from the genesis document. The spec asks readers for at least
32 logs and 32 witnesses; a network of more institutions needs a reader that goes further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.note import ED25519, ED25519_COSIGNATURE, VerifierKey

QUORUM_GROUP: Final = "quorum-of-validators"
"""Name of the group that the quorum line refers to; no witness may have it."""

_RESERVED: Final = ("none", QUORUM_GROUP)


def format_tlog_policy(
    log_keys: Sequence[VerifierKey],
    witnesses: Sequence[tuple[str, VerifierKey]],
    quorum: int,
) -> str:
    """Return the policy: any of these log keys, and `quorum` of these (name, key) witnesses."""
    if not log_keys or not 1 <= quorum <= len(witnesses):
        raise ValueError(
            f"a policy needs a log key and a quorum of 1 to {len(witnesses)}, not {quorum}"
        )
    names = [name for name, _ in witnesses]
    for name in names:
        if name in _RESERVED or not _is_policy_name(name) or names.count(name) > 1:
            raise ValueError(f"{name!r} is no name for exactly one witness in a policy")
    _check_keys(log_keys, ED25519, "log")
    _check_keys([key for _, key in witnesses], ED25519_COSIGNATURE, "witness")
    lines = [f"log {key.format()}" for key in log_keys]
    lines.append("")
    lines += [f"witness {name} {key.format()}" for name, key in witnesses]
    lines += [
        "",
        f"group {QUORUM_GROUP} {quorum} {' '.join(names)}",
        f"quorum {QUORUM_GROUP}",
    ]
    return "\n".join(lines) + "\n"


def _is_policy_name(name: str) -> bool:
    """Whether a policy can hold this name: no white space or control, no comment sign first."""
    return (
        bool(name)
        and not name.startswith("#")
        and not any(
            character.isspace() or character < " " or character == "\x7f" for character in name
        )
    )


def _check_keys(keys: Sequence[VerifierKey], algorithm: int, role: str) -> None:
    """Two keys are duplicates if their public keys are equal (tlog-policy, "Public key")."""
    if any(key.algorithm != algorithm for key in keys):
        raise ValueError(f"a {role} key of a policy has signature type {algorithm:#04x}")
    if len({key.public_key for key in keys}) != len(keys):
        raise ValueError(f"one public key stands twice among the {role} keys")
