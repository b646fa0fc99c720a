"""A node's home: the directory in which everything that one node owns has its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.archive import LIST_FILE
from storage.backup import POST_QUANTUM_DIRECTORY, TIMESTAMPS_DIRECTORY, WITNESSED_DIRECTORY


@dataclass(frozen=True, slots=True)
class NodeHome:
    """The directory one node owns, and what lies where in it."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.path / "node.toml"

    @property
    def genesis(self) -> Path:
        """The genesis document."""
        return self.path / "genesis.json"

    @property
    def chain(self) -> Path:
        """The chain's segments."""
        return self.path / "segments"

    @property
    def index(self) -> Path:
        """The key-value store: index and state."""
        return self.path / "index"

    @property
    def journal(self) -> Path:
        """The vote journal: what this node has signed."""
        return self.path / "journal"

    @property
    def spool(self) -> Path:
        """Transactions this node gave receipts for."""
        return self.path / "spool"

    @property
    def private(self) -> Path:
        """Private fields of contracts, sealed, and who looked at them."""
        return self.path / "private"

    @property
    def keys(self) -> Path:
        """Private keys and certificates."""
        return self.path / "keys"

    @property
    def keystore(self) -> Path:
        """The sealed seeds."""
        return self.keys / "keystore.json"

    @property
    def passphrase(self) -> Path:
        """Where a devnet keeps the keystore's passphrase."""
        return self.keys / "passphrase"

    @property
    def tls_certificate(self) -> Path:
        """The certificate genesis pins."""
        return self.keys / "peer.crt"

    @property
    def tls_key(self) -> Path:
        """Its private key."""
        return self.keys / "peer.key"

    @property
    def api_certificate(self) -> Path:
        """The API's certificate chain."""
        return self.keys / "api.crt"

    @property
    def api_key(self) -> Path:
        """Its private key."""
        return self.keys / "api.key"

    @property
    def api_authority(self) -> Path:
        """The certificate a devnet's clients trust."""
        return self.keys / "api-authority.crt"

    @property
    def tokens(self) -> Path:
        """Hashes of the API's bearer tokens."""
        return self.path / "tokens.json"

    @property
    def archived(self) -> Path:
        """Which segments were moved to the archive."""
        return self.path / LIST_FILE

    @property
    def snapshots(self) -> Path:
        """The snapshots this node has made and serves."""
        return self.path / "snapshots"

    @property
    def timestamps(self) -> Path:
        """Timestamped checkpoints with their tokens."""
        return self.path / TIMESTAMPS_DIRECTORY

    @property
    def witnessed(self) -> Path:
        """Witnessed checkpoints with their cosignatures."""
        return self.path / WITNESSED_DIRECTORY

    @property
    def post_quantum(self) -> Path:
        """Checkpoints with post-quantum cosignatures of a quorum."""
        return self.path / POST_QUANTUM_DIRECTORY

    @property
    def base(self) -> Path:
        """The snapshot this node's chain began with, if not with genesis."""
        return self.path / "base"

    @property
    def joining(self) -> Path:
        """A snapshot that is being fetched."""
        return self.path / "joining"

    @property
    def join_marker(self) -> Path:
        """If this file is there, the node takes a snapshot from its peers before it starts."""
        return self.path / "JOIN"

    @property
    def recover_marker(self) -> Path:
        """If this file is there, the node starts as one that has forgotten what it signed."""
        return self.path / "RECOVER"

    def create(self) -> None:
        """Make the directories, open to this user only."""
        folders = (
            self.chain, self.index, self.journal, self.spool, self.private, self.snapshots,
            self.keys,
        )  # fmt: skip
        for path in (self.path, *folders):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def resolve(self, path: str) -> Path:
        """Return a path of the configuration: relative ones start at the home."""
        return self.path / path
