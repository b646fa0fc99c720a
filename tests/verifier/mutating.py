"""Ways to spoil one transaction's evidence: each returns the parts of a file that lies somewhere.

`check` holds a spoilt file against the step that must refuse it, its reason and a piece of its
sentence, so that one check cannot hide behind another.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack

from ledger.checkpoint import cosigner_verifier_key
from ledger.evidence import ProvenStream
from ledger.refusal import Reason
from ledger.state_tree import encode_state_proof
from ledger.stream import compute_state_key
from ledger.tlog_proof import format_tlog_proof, parse_tlog_proof
from tests.verifier.small_chain import Parts, SmallChain, alter, busy_chain, forge, signer
from verifier.report import Result
from verifier.verify import STEPS, verify_evidence

SIGNERS = ("m-1", "c-1")
CARD = "contract/card-1"

Mutation = tuple[Callable[[], Parts], int, Reason, str]
"""Parts that lie, the step that refuses them, its reason, and what its sentence says."""


def consumption(chain: SmallChain) -> int:
    """Log index of the card's first consumption, signed by merchant and consumer."""
    return chain.indices_of(CARD)[3]


def honest(chain: SmallChain | None = None, **changes: Any) -> Parts:
    chain = chain or busy_chain()
    return replace(chain.transaction(consumption(chain), SIGNERS), **changes)


def check(raw: bytes, step: int, reason: Reason, says: str) -> None:
    """The file is refused at this step, and everything after it is not run."""
    report = verify_evidence(raw, busy_chain().chain_id)
    failed = report.failed
    assert failed is not None, "it passed as consistent"
    assert (failed.number, failed.reason, says in failed.explanation.en) == (step, reason, True), (
        failed
    )
    assert failed.explanation.zh
    assert report.exit_status == (2 if step == 1 else 1)
    results = [(one.number, one.result) for one in report.steps if one.number > step]
    assert results == [(number, Result.NOT_RUN) for number, _, _ in STEPS if number > step]


def note_edit(old: bytes, new: bytes) -> Parts:
    """All three proofs carry the checkpoint with these bytes changed."""
    chain = busy_chain()
    note = chain.note()
    assert old in note
    return chain.transaction(consumption(chain), SIGNERS, note.replace(old, new, 1))


def note_of(**changes: Any) -> Parts:
    chain = busy_chain()
    return chain.transaction(consumption(chain), SIGNERS, chain.note(**changes))


def line(note: bytes, place: int) -> bytes:
    return note.partition(b"\n\n")[2].split(b"\n")[place] + b"\n"


def other_chain() -> SmallChain:
    return SmallChain(network="other.evidence.example")


def own_lines_on_foreign_cosigners() -> Parts:
    """The checkpoint of our log, cosigned by four institutions of another network."""
    chain = busy_chain()
    foreign = other_chain()
    foreign.leaves = chain.leaves
    note = foreign.note(origin=chain.genesis.origin)
    ours = chain.note()
    head, _, lines = ours.partition(b"\n\n")
    log_line = lines.split(b"\n")[0] + b"\n"
    foreign_lines = b"".join(line(note, place) for place in range(1, 5))
    return chain.transaction(consumption(chain), SIGNERS, head + b"\n\n" + log_line + foreign_lines)


def proof_edit(member: str, **changes: Any) -> Parts:
    parts = honest()
    proof = parse_tlog_proof(getattr(parts, member))
    spoilt: dict[str, Any] = {member: format_tlog_proof(replace(proof, **changes))}
    return replace(parts, **spoilt)


def path_of(member: str) -> tuple[bytes, ...]:
    return parse_tlog_proof(getattr(honest(), member)).path


def swapped(path: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (path[1], path[0], *path[2:])


def forged_entry(change: Callable[[list[Any]], None]) -> Parts:
    chain = busy_chain()
    index = consumption(chain)
    return honest(forge(chain, {index: alter(chain.leaves[index], change)}))


def forged_body(body: bytes, *signers: str) -> Parts:
    """An entry with this body, rightly signed, at the consumption's place."""
    chain = busy_chain()
    index = consumption(chain)
    names = signers or SIGNERS
    envelope = chain.signed(body, *names)

    def put(fields: list[Any]) -> None:
        fields[3] = msgpack.unpackb(envelope)

    lying = forge(chain, {index: alter(chain.leaves[index], put)})
    return lying.transaction(index, names)


def body_text(old: str, new: str) -> bytes:
    chain = busy_chain()
    body = msgpack.unpackb(chain.leaves[consumption(chain)])[3][0]
    assert old.encode() in body
    changed: bytes = body.replace(old.encode(), new.encode(), 1)
    return changed


def forged_header(**changes: Any) -> Parts:
    """The newest header lies; it is the state header of the file."""
    return honest(forge(busy_chain(), changes=changes))


def forged_header_leaf(change: Callable[[list[Any]], None]) -> Parts:
    chain = busy_chain()
    index = chain.headers[-1].index
    return honest(forge(chain, {index: alter(chain.leaves[index], change)}))


def set_field(*path: int, value: Any) -> Callable[[list[Any]], None]:
    def change(fields: list[Any]) -> None:
        inner: Any = fields
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return change


def resigned(change: Callable[[list[Any], SmallChain], None]) -> Parts:
    """An entry whose envelope is changed by someone who knows the chain's keys."""
    chain = busy_chain()
    return forged_entry(lambda fields: change(fields[3], chain))


def party_record(chain: SmallChain, **changes: Any) -> list[Any]:
    record = {
        "tag": "party",
        "party": "m-1",
        "role": "merchant",
        "district": "",
        "registrar": "bank-0",
        "registered_height": 1,
        "revoked_height": 0,
        "keys": [[chain.key("m-1").public_key, 2, 0, ["bank-0"]]],
    }
    return list((record | changes).values())


def forged_party(**changes: Any) -> Parts:
    chain = busy_chain()
    return honest(forge(chain, records={"party/m-1": party_record(chain, **changes)}))


def other_party(member: str, place: int = 1) -> Parts:
    parts = honest()
    wrong = getattr(busy_chain().proven("party/bank-1"), member)
    parties = list(parts.parties)
    parties[place] = replace(parties[place], **{member: wrong})
    return replace(parts, parties=tuple(parties))


def certificate(**changes: Any) -> Parts:
    chain = busy_chain()
    return honest(certificate=chain.certificate(chain.headers[3], **changes))


def certificate_bytes(change: Callable[[bytes], bytes]) -> Parts:
    return honest(certificate=change(honest().certificate))


def doubled(parts: Parts, member: str) -> Parts:
    return replace(parts, **{member: getattr(parts, member) + b"\0"})


def at_index(index: int) -> Parts:
    """Another entry of the log, with its own good proof, in the place of this one."""
    chain = busy_chain()
    return honest(entry=chain.leaves[index], proof=chain.proof(index))


def state_of(height: int) -> Parts:
    chain = busy_chain()
    index = chain.headers[height].index
    return honest(state_header=chain.leaves[index], state_header_proof=chain.proof(index))


def genesis_edit(change: Callable[[bytes], bytes]) -> Parts:
    return honest(genesis=change(busy_chain().genesis.raw))


def time_zero() -> Parts:
    """The fourth institution's cosignature names no time; its signature is right."""
    chain = busy_chain()
    note = chain.note(cosigners=(0, 1, 2))
    text = note.partition(b"\n\n")[0] + b"\n"
    key = signer(f"{chain.network} bank-3 cosign")
    name = f"{chain.genesis.origin}/bank-3"
    blob = bytes(8) + key.sign(b"cosignature/v1\ntime 0\n" + text)
    key_id = cosigner_verifier_key(name, key.public_key).key_id
    last = f"\u2014 {name} {base64.b64encode(key_id + blob).decode()}\n".encode()
    return chain.transaction(consumption(chain), SIGNERS, note + last)


def alter_signatures(envelope: bytes) -> Any:
    return msgpack.unpackb(envelope)[1]


def flip(raw: bytes) -> bytes:
    return bytes([raw[0] ^ 1]) + raw[1:]


def absent_proof(chain: SmallChain) -> ProvenStream:
    """The merchant's value with the proof that some other party is absent."""
    for at in range(1000):
        proof = chain.chain.tree.prove(compute_state_key(f"party/nobody-{at}"))
        if proof.other is not None:
            return replace(chain.proven("party/m-1"), proof=encode_state_proof(proof))
    raise AssertionError("no key ends beside another leaf")
