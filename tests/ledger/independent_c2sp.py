"""A second reader of C2SP notes, checkpoints, cosignatures, policies, proofs and tiles.

Written from the C2SP texts alone (signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof,
tlog-policy, tlog-tiles; July 2026) and RFC 6962, in plain recursion. It imports nothing of the
ledger and another Ed25519 than the ledger's, so that what we make is read by somebody else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Wrong(Exception):
    """Something is not as the texts say."""


def need(condition: bool, what: str) -> None:
    if not condition:
        raise Wrong(what)


# signed-note


def read_vkey(vkey: str) -> tuple[str, bytes, int, bytes]:
    """Return name, key id, signature type, public key."""
    name, key_id, material = vkey.split("+", 2)
    raw = base64.b64decode(material, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    need(expected.hex() == key_id, "key id")
    return name, expected, raw[0], raw[1:]


def split_note(raw: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return the text and (name, key id, signature) of each line."""
    whole = raw.decode("utf-8")
    need(all(ord(c) >= 0x20 or c == "\n" for c in whole), "control character")
    text, _, lines = whole.rpartition("\n\n")
    need(lines.endswith("\n"), "final newline")
    signatures = []
    for line in lines[:-1].split("\n"):
        dash, name, blob = line.split(" ")
        need(dash == "\u2014" and name != "" and "+" not in name, "signature line")
        raw_blob = base64.b64decode(blob, validate=True)
        signatures.append((name, raw_blob[:4], raw_blob[4:]))
    need(len(signatures) > 0, "no signatures")
    return text + "\n", signatures


def ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def signers_of(raw: bytes, vkeys: list[str]) -> dict[str, int | None]:
    """Return, for each vkey that signed, None or its cosignature time. A wrong one is an error."""
    text, lines = split_note(raw)
    signed: dict[str, int | None] = {}
    for vkey in vkeys:
        name, key_id, kind, public_key = read_vkey(vkey)
        for line_name, line_id, signature in lines:
            if (line_name, line_id) != (name, key_id):
                continue
            if kind == 1:
                need(ed25519(public_key, text.encode(), signature), "signature of " + name)
                signed[vkey] = None
            elif kind == 4:
                need(len(signature) == 72, "length of cosignature")
                time = int.from_bytes(signature[:8], "big")
                message = "cosignature/v1\ntime " + str(time) + "\n" + text
                need(ed25519(public_key, message.encode(), signature[8:]), "cosignature " + name)
                signed[vkey] = time
            else:
                raise Wrong("signature type " + str(kind))
    return signed


# tlog-checkpoint


def read_checkpoint(raw: bytes) -> tuple[str, int, bytes]:
    text, _ = split_note(raw)
    lines = text[:-1].split("\n")
    need(len(lines) >= 3 and all(lines), "checkpoint lines")
    need(str(int(lines[1])) == lines[1], "size")
    root = base64.b64decode(lines[2], validate=True)
    need(len(root) == 32, "root")
    return lines[0], int(lines[1]), root


# tlog-policy


def read_policy(policy: str) -> tuple[list[str], Callable[[set[str]], bool]]:
    """Return the log vkeys, and whether a set of cosigning vkeys meets the quorum."""
    logs: list[str] = []
    rules: dict[str, Callable[[set[str]], bool]] = {"none": lambda signed: True}
    members_used: set[str] = set()
    witness_keys: set[bytes] = set()
    quorum = None
    for line in policy.split("\n"):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "log":
            _, _, kind, key = read_vkey(words[1])
            need(kind == 1 and all(read_vkey(v)[3] != key for v in logs), "log key")
            logs.append(words[1])
        elif words[0] == "witness":
            _, _, kind, key = read_vkey(words[2])
            need(kind == 4 and key not in witness_keys and words[1] not in rules, "witness")
            witness_keys.add(key)
            rules[words[1]] = lambda signed, vkey=words[2]: vkey in signed  # type: ignore[misc]
        elif words[0] == "group":
            name, threshold, members = words[1], words[2], words[3:]
            need(name not in rules and len(members) > 0, "group")
            need("none" not in members and len(set(members)) == len(members), "members")
            need(not members_used & set(members), "a member twice")
            members_used |= set(members)
            k = {"any": 1, "all": len(members)}.get(threshold) or int(threshold)
            need(1 <= k <= len(members), "threshold")
            parts = [rules[member] for member in members]
            rules[name] = lambda signed, parts=parts, k=k: (  # type: ignore[misc]
                sum(part(signed) for part in parts) >= k
            )
        elif words[0] == "quorum":
            need(quorum is None, "two quorum lines")
            quorum = rules[words[1]]
        else:
            raise Wrong("policy line " + line)
    if quorum is None:
        raise Wrong("no quorum line")
    return logs, quorum


# RFC 6962 section 2.1


def mth(leaves: list[bytes]) -> bytes:
    if len(leaves) == 0:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k = 2 * k
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def root_by_path(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """Undo the recursive definition of PATH (RFC 6962 section 2.1.1)."""
    if size == 1:
        need(path == [], "path too long")
        return leaf
    need(len(path) > 0, "path too short")
    k = 1
    while 2 * k < size:
        k = 2 * k
    if index < k:
        left, right = root_by_path(index, k, leaf, path[:-1]), path[-1]
    else:
        left, right = path[-1], root_by_path(index - k, size - k, leaf, path[:-1])
    return hashlib.sha256(b"\x01" + left + right).digest()


# tlog-proof


def check_proof(raw: bytes, entry: bytes, policy: str) -> dict[str, Any]:
    """Verify a tlog-proof of an entry against a policy, as the text's four steps say."""
    head, _, checkpoint = raw.partition(b"\n\n")
    lines = head.decode("ascii").split("\n")
    need(lines[0] == "c2sp.org/tlog-proof@v1", "first line")
    at = 1
    extra = None
    if lines[at].startswith("extra "):
        extra = base64.b64decode(lines[at][6:], validate=True)
        at += 1
    need(lines[at].startswith("index "), "index line")
    index = int(lines[at][6:])
    need(str(index) == lines[at][6:], "index")
    path = [base64.b64decode(line, validate=True) for line in lines[at + 1 :]]
    need(all(len(node) == 32 for node in path), "hash length")

    leaf = hashlib.sha256(b"\x00" + entry).digest()  # 1
    logs, quorum = read_policy(policy)
    origin, size, root = read_checkpoint(checkpoint)
    log_keys = [vkey for vkey in logs if vkey.split("+")[0] == origin]
    need(len(signers_of(checkpoint, log_keys)) > 0, "no log signature")  # 2
    witnesses = [
        word for line in policy.split("\n") if line[:7] == "witness" for word in line.split()[2:3]
    ]
    times = signers_of(checkpoint, witnesses)
    need(quorum(set(times)), "no quorum")  # 3
    need(index < size, "index")
    need(root_by_path(index, size, leaf, path) == root, "root")  # 4
    return {"index": index, "size": size, "extra": extra, "times": sorted(times.values())}


# tlog-tiles


def tile_url(level: str, n: int, width: int) -> str:
    last = f"{n % 1000:03d}"
    while n >= 1000:
        n //= 1000
        last = f"x{n % 1000:03d}/" + last
    return "/tile/" + level + "/" + last + ("" if width == 256 else ".p/" + str(width))


def read_log(size: int, get: Callable[[str], bytes]) -> tuple[bytes, list[bytes]]:
    """Fetch every tile and entry of a log by URL, check each against each; return root, entries."""
    entries: list[bytes] = []
    row: list[bytes] = []
    for n in range((size + 255) // 256):
        width = min(256, size - 256 * n)
        bundle = get(tile_url("entries", n, width))
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            need(len(bundle) >= 2 + length, "bundle")
            entries.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
        row = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    need(len(entries) == size, "entries")
    root = mth(row)
    level = 0
    while row:
        for n in range((len(row) + 255) // 256):
            chunk = row[256 * n : 256 * n + 256]
            need(get(tile_url(str(level), n, len(chunk))) == b"".join(chunk), "tile")
        row = [mth(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        level += 1
    return root, entries
