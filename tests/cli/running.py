"""Runs commands in this process and gives back status and text; makes a small stored chain."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from cli.devnet_addresses import Layout
from cli.devnet_homes import create_devnet
from cli.devnet_state import DevnetState
from cli.drafts import Draft, complete_body
from cli.main import main
from consensus.durable import RECORD_VERSION, DurableRecord, encode_record
from contracts.execution import Chain, execute_block, parse_candidate
from genesis.document import Genesis, parse_genesis
from ledger.signing import SeedSigner, verify_signature
from ledger.transaction import decode_transaction, sign_transaction
from ledger.votes import (
    COMMIT,
    CommitCertificate,
    SignedBy,
    compute_vote_message,
    encode_commit_certificate,
)
from node.certification import Certification
from node.config import load_config
from node.home import NodeHome
from node.journal_record import encode_journal_record
from node.keystore import KeyPurpose, Keystore
from node.ledger_store import LedgerStore, open_ledger
from node.server import open_keyvalue
from storage.files import DiskDirectory
from storage.journal import Journal
from storage.spool import Spool


class Command:
    """Runs the command line; remembers what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = ""
        self.err = ""

    def run(self, *argv: str | Path) -> int:
        status = main([str(argument) for argument in argv])
        self.out, self.err = self._capsys.readouterr()
        return status

    @property
    def refusal(self) -> str:
        """The English line of what was refused; a Chinese one follows it, and nothing else."""
        english, chinese = self.err.splitlines()
        assert re.search(r"[\u4e00-\u9fff]", chinese), chinese
        assert not re.search(r"[\u4e00-\u9fff]", english), english
        return english


def write_journal(home: NodeHome, votes: bytes, cosigned_size: int, height: int) -> None:
    """Save a record as a node does; `votes` is the replica's own, empty before it has voted."""
    with closing(DiskDirectory(home.journal)) as directory:
        journal = Journal.open(directory)
        journal.load()
        journal.save(encode_journal_record(votes, cosigned_size, height), None)


def encode_votes(chain_id: bytes, replica: int, height: int) -> bytes:
    """Return the record of a replica that has come to a height and voted for nothing there."""
    return encode_record(
        DurableRecord(
            version=RECORD_VERSION, chain_id=chain_id, replica=replica, silent_through_height=0,
            height=height, view=0, is_changing=False, votes=(), view_change=None, prepared=None,
            plan=None,
        )
    )  # fmt: skip


class StoredChain:
    """A stopped node of a network of one, with blocks as a node would have stored them."""

    def __init__(self, directory: Path) -> None:
        self.state: DevnetState = create_devnet(Layout(directory=directory, node_count=1))
        self._open(NodeHome(Path(self.state.nodes[0].home)))

    @classmethod
    def resume(cls, home: Path) -> StoredChain:
        """Return the chain in a copy of its home, to be gone on with; it registers nobody."""
        chain = cls.__new__(cls)
        chain._open(NodeHome(home))
        return chain

    def _open(self, home: NodeHome) -> None:
        self.home = home
        self.genesis: Genesis = parse_genesis(self.home.genesis.read_bytes())
        passphrase = self.home.passphrase.read_bytes().strip()
        self._keystore = Keystore.open(self.home.keystore, passphrase)

    def append(self, *groups: Sequence[Draft]) -> None:
        """Append one block for each group, with certificate and certified checkpoint."""
        directory = DiskDirectory(self.home.chain, create=True)
        keyvalue = open_keyvalue(self.home.index, load_config(self.home).storage)
        store, chain = open_ledger(directory, keyvalue, self.genesis)
        signer = self._keystore.signer
        certification = Certification(
            self.genesis,
            0,
            signer(KeyPurpose.COSIGN),
            signer(KeyPurpose.LOG),
            store.read_tile,
            verify_signature,
        )
        for group in groups:
            self._append_block(store, chain, certification, group)
        store.chain_store.close()
        directory.close()
        with closing(DiskDirectory(self.home.spool)) as spool:
            Spool(spool)
        write_journal(self.home, b"", chain.header.log_size, chain.header.height + 1)

    def _append_block(
        self, store: LedgerStore, chain: Chain, certification: Certification, group: Sequence[Draft]
    ) -> None:
        time_ms = max(chain.header.time_ms + 1, time.time_ns() // 1_000_000)
        block = execute_block(
            chain,
            time_ms,
            [parse_candidate(decode_transaction(self._sign(draft, time_ms))) for draft in group],
            proposer=0,
            rule_pack_version=self.genesis.rule_pack.version,
        )
        height = block.header.height
        message = compute_vote_message(COMMIT, self.genesis.chain_id, height, 0, block.block_hash)
        signature = self._keystore.signer(KeyPurpose.VOTE).sign(message)
        certificate = CommitCertificate(height, 0, block.block_hash, (SignedBy(0, signature),))
        store.commit(block, encode_commit_certificate(certificate), chain.log)
        chain.adopt(block)
        certification.open_height(height, block.header.log_size, chain.log.root())
        certification.cosign(height, -(-time_ms // 1000))
        note = certification.make_note(height)
        assert note is not None
        store.chain_store.put_checkpoint(height, note)

    def _sign(self, draft: Draft, time_ms: int) -> bytes:
        seeds = {one.id: one.party_seed for one in self.state.institutions}
        seeds |= {who.party: who.seed for who in self.state.submitters}
        body = complete_body(draft, time_ms + 1000, {})
        signers = [SeedSigner(bytes.fromhex(seeds[party])) for party in draft.signers]
        return sign_transaction(body, self.genesis.chain_id, signers)


def registrations(state: DevnetState) -> list[Draft]:
    """Return the drafts that register the demo submitters."""
    return [
        Draft(
            "party.register",
            {"party": who.party, "role": who.role, "keys": [who.public_key]},
            f"party/{who.party}",
            f"register-{who.party}",
            ["bank-a"],
        )
        for who in state.submitters
    ]


def opening(contract: str) -> Draft:
    """Return the draft that opens a contract of m-yoga."""
    data = {
        "consumer": secrets.token_hex(32),
        "custodian": "bank-a",
        "industry": "fitness",
        "merchant": "m-yoga",
        "terms_hash": "00" * 32,
    }
    return Draft("prepaid.open", data, f"contract/{contract}", f"open-{contract}", ["m-yoga"])


def amount(kind: str, contract: str, fen: int, reference: str) -> Draft:
    """Return a draft that moves money of a contract."""
    return Draft(kind, {"amount": fen}, f"contract/{contract}", reference, ["m-yoga"])
