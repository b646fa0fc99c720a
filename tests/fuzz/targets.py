"""Every decoder that reads what somebody else wrote, what it may raise, and valid input for it.

The corpus (`tests/fuzz/corpus`) holds a folder for each target: valid samples, and for good every
input that once was not refused cleanly. `python -m tests.fuzz.targets` writes the valid samples
anew from a network in memory and from the published vectors.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from consensus.durable import decode_record as decode_durable
from consensus.messages import decode_message
from contracts.execution import parse_candidate
from genesis.document import parse_genesis
from ledger.block import decode_entry, decode_header
from ledger.canonical import decode_canonical
from ledger.checkpoint import parse_checkpoint_text
from ledger.equivocation import decode_equivocation
from ledger.log import decode_bundle
from ledger.note import parse_note, parse_signature_line, parse_verifier_key
from ledger.receipt import decode_receipt
from ledger.refusal import Rejected
from ledger.state_tree import decode_state_proof
from ledger.stream import decode_stream_value
from ledger.tlog_proof import parse_tlog_proof
from ledger.transaction import decode_bodies, decode_body, decode_transaction, decode_transactions
from ledger.votes import decode_commit_certificate
from node.config import parse_config
from node.config_section import ConfigError
from node.intake import parse_relayed, parse_submission
from node.journal_record import decode_journal_record
from node.messages import decode_frame
from storage.files import Damaged
from storage.records import decode_header as decode_record_header
from storage.rows import decode_block, decode_reference
from storage.rows import decode_transaction as decode_row
from verifier.evidence_file import read_evidence
from verifier.formats import (
    read_body,
    read_certificate,
    read_header_entry,
    read_transaction_entry,
)
from verifier.state_formats import read_state_proof, read_state_value
from verifier.trust_root import read_trust_root

CORPUS: Final = Path(__file__).with_name("corpus")
CHAIN_ID: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Target:
    """One decoder."""

    name: str
    decode: Callable[[bytes], object]
    samples: str
    """Folder of the corpus, shared by those who read the same format."""
    refusals: tuple[type[Exception], ...] = (Rejected,)

    def load(self) -> list[bytes]:
        """Return the corpus, in a fixed order."""
        return [file.read_bytes() for file in sorted((CORPUS / self.samples).iterdir())]


def _text(decode: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda raw: decode(raw.decode("utf-8", "replace"))


TARGETS: Final = (
    Target("body", decode_body, "bodies"),
    Target("bodies", lambda raw: decode_bodies([raw, raw]), "bodies"),
    Target("envelope", decode_transaction, "envelopes"),
    Target("envelopes", lambda raw: decode_transactions([raw, raw]), "envelopes"),
    Target("data of its kind", lambda raw: parse_candidate(decode_transaction(raw)), "envelopes"),
    Target("submission", lambda raw: parse_submission(raw, CHAIN_ID), "envelopes"),
    Target("relayed envelope", lambda raw: parse_relayed(raw, CHAIN_ID), "envelopes"),
    Target("canonical document", decode_canonical, "bodies"),
    Target("header", decode_header, "headers"),
    Target("entry", decode_entry, "entries"),
    Target("commit certificate", decode_commit_certificate, "certificates"),
    Target("equivocation", decode_equivocation, "equivocations"),
    Target("receipt", decode_receipt, "receipts"),
    Target("note", parse_note, "notes"),
    Target("checkpoint text", _text(parse_checkpoint_text), "notes"),
    Target("signature line", _text(parse_signature_line), "lines"),
    Target("verifier key", _text(parse_verifier_key), "lines"),
    Target("tlog-proof", parse_tlog_proof, "proofs"),
    Target("entry bundle", decode_bundle, "bundles"),
    Target("state proof", decode_state_proof, "state-proofs"),
    Target("stream value", decode_stream_value, "state-values"),
    Target("genesis", parse_genesis, "genesis"),
    Target("consensus message", decode_message, "messages"),
    Target("durable record", lambda raw: decode_durable(raw, CHAIN_ID, 0), "node-records"),
    Target("node record", decode_journal_record, "node-records"),
    Target("frame", decode_frame, "frames"),
    Target("node.toml", _text(parse_config), "configs", (ConfigError,)),
    Target("record header", decode_record_header, "records", ()),
    Target("block row", lambda raw: decode_block(1, raw), "records", (Damaged,)),
    Target("transaction row", decode_row, "records", (Damaged,)),
    Target("reference row", decode_reference, "records", (Damaged,)),
    Target("verifier: evidence file", read_evidence, "evidence"),
    Target("verifier: trust root", read_trust_root, "genesis"),
    Target("verifier: body", lambda raw: read_body(raw, "body"), "bodies"),
    Target("verifier: entry", lambda raw: read_transaction_entry(raw, "entry"), "entries"),
    Target("verifier: header entry", lambda raw: read_header_entry(raw, "entry"), "entries"),
    Target("verifier: certificate", lambda raw: read_certificate(raw, "votes"), "certificates"),
    Target("verifier: state proof", lambda raw: read_state_proof(raw, "proof"), "state-proofs"),
    Target("verifier: state value", lambda raw: read_state_value(raw, "value"), "state-values"),
)


def make_samples() -> dict[str, list[bytes]]:
    """Return valid input for every folder of the corpus."""
    from node.config import NodeConfig, render_config
    from node.messages import Consensus
    from storage.records import encode_record
    from tests.node.driving import Drivers
    from tests.verifier.small_chain import CARD_SIGNERS, busy_chain
    from tests.verifier.test_noise import files

    vectors: dict[str, Any] = json.loads(
        (Path(__file__).parents[1] / "vectors" / "formats.json").read_text("utf-8")
    )
    transaction, batch = vectors["transaction"], vectors["batch"]
    drivers = Drivers(4).start()
    frames: dict[tuple[str, str], bytes] = {}
    drivers.loses = lambda sender, receiver, frame: _keep(frames, frame)
    drivers.grow(3)
    quiet = drivers.loses
    drivers.loses = lambda sender, receiver, frame: quiet(sender, receiver, frame) or sender == 0
    for number in range(400):  # the primary is not heard: view changes
        drivers.submit(1, drivers.transaction(f"late-{number}"))
        drivers.tick()
        if number > 40 and len({kind for _, kind in frames}) > 6:
            break
    chain = busy_chain()
    state = vectors["state"]
    record = drivers.machines[1].journal.load().record
    return {
        "bodies": [transaction["body"].encode(), *(body.encode() for body in batch["bodies"])],
        "envelopes": [bytes.fromhex(one) for one in (transaction["envelope"], *batch["envelopes"])],
        "headers": [bytes.fromhex(vectors["block"]["header"])],
        "entries": [
            bytes.fromhex(one)
            for one in (
                *vectors["block"]["transaction_entries"][:2],
                vectors["block"]["header_entry"],
                vectors["genesis"]["entry"],
            )
        ],
        "certificates": [bytes.fromhex(vectors["votes"]["certificate"])],
        "equivocations": [bytes.fromhex(vectors["votes"]["equivocation"])],
        "receipts": [vectors["receipts"]["receipt"].encode()],
        "notes": [vectors["checkpoint"]["note"].encode(), chain.note()],
        "lines": [
            vectors["checkpoint"][name].encode()
            for name in ("log_vkey", "log_line", "cosigner_vkey", "cosigner_line")
        ],
        "proofs": [vectors["checkpoint"]["proof"].encode()],
        "bundles": [
            b"".join(
                len(one).to_bytes(2, "big") + one
                for one in (bytes.fromhex(two) for two in batch["envelopes"])
            )
        ],
        "state-proofs": [
            bytes.fromhex(value)
            for part in ("contract", "party", "absent")
            for name, value in state[part].items()
            if name == "proof"
        ],
        "state-values": [
            bytes.fromhex(value)
            for part in ("contract", "party")
            for name, value in state[part].items()
            if name == "value"
        ],
        "genesis": [vectors["genesis"]["document"].encode()],
        "messages": [
            one.payload
            for raw in frames.values()
            if isinstance(one := decode_frame(raw), Consensus)
        ],
        "frames": list(frames.values()),
        "node-records": [] if record is None else [record],
        "configs": [render_config(NodeConfig(replica=0)).encode()],
        "records": [b"".join(encode_record(3, [b"one", b"two"], b"votes")[3]), bytes(108)],
        "evidence": [files()["transaction"], chain.history("card-1", CARD_SIGNERS)],
    }


def _keep(frames: dict[tuple[str, str], bytes], frame: Any) -> bool:
    """Remember the first frame of each kind, and of each kind of consensus message."""
    from node.messages import Consensus, encode_frame

    kind = type(frame).__name__
    inner = type(decode_message(frame.payload)).__name__ if isinstance(frame, Consensus) else ""
    frames.setdefault((kind, inner), encode_frame(frame))
    return False


def write_corpus() -> int:
    """Write the valid samples; what is there beside them stays."""
    for folder, samples in make_samples().items():
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
        for at, sample in enumerate(samples):
            (CORPUS / folder / f"valid-{at:02}").write_bytes(sample)
        print(f"{folder}: {len(samples)}")
    return 0


if __name__ == "__main__":
    sys.exit(write_corpus())
