"""The cold routes' answers as pydantic schemas, for people who read the documentation.

Nothing inside the ledger uses these. Bytes are lower-case hex, times milliseconds since 1970 UTC,
raw blobs standard base64. Each is built from a value of `api.ports` and from nothing else.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.ports import BlockView, ContractView, LedgerService, StatusView
from ledger.block import encode_header

HashHex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="32 bytes in hex")]
SignatureHex = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$", description="64 bytes in hex")]


class Schema(BaseModel):
    """What all schemas share."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Vote(Schema):
    """One validator's commit vote."""

    replica: int
    signature: SignatureHex


class Certificate(Schema):
    """A quorum's commit votes of one view; nodes may hold different ones."""

    view: int
    votes: list[Vote]


class Header(Schema):
    """What the votes are about."""

    version: int
    chain_id: HashHex
    height: int
    parent_hash: HashHex
    time_ms: int
    proposer: int
    first_index: int
    count: int
    log_root: HashHex
    state_root: HashHex
    validators_hash: HashHex
    rule_pack_version: int


class Block(Schema):
    """A decided block without bodies; its header is its last entry in the log."""

    block_hash: HashHex
    certified: bool
    header: Header
    header_bytes: str = Field(description="the header's exact bytes (MessagePack) in base64")
    certificate: Certificate | None = Field(description="null at height 0, which nobody votes on")
    transactions: list[HashHex] = Field(description="the i-th has log index first_index + i")

    @classmethod
    def of(cls, view: BlockView) -> Block:
        """Return what the API says of a block."""
        header = view.header
        certificate = view.certificate
        return cls(
            block_hash=view.block_hash.hex(),
            certified=view.certified,
            header=Header(
                version=header.version,
                chain_id=header.chain_id.hex(),
                height=header.height,
                parent_hash=header.parent_hash.hex(),
                time_ms=header.time_ms,
                proposer=header.proposer,
                first_index=header.first_index,
                count=header.count,
                log_root=header.log_root.hex(),
                state_root=header.state_root.hex(),
                validators_hash=header.validators_hash.hex(),
                rule_pack_version=header.rule_pack_version,
            ),
            header_bytes=base64.b64encode(encode_header(header)).decode(),
            certificate=None
            if certificate is None
            else Certificate(
                view=certificate.view,
                votes=[
                    Vote(replica=replica, signature=signature.hex())
                    for replica, signature in certificate.votes
                ],
            ),
            transactions=[tx_id.hex() for tx_id in view.tx_ids],
        )


class Contract(Schema):
    """A contract as of a height. For a proof of it, ask for its history."""

    contract: str = Field(description="the contract's id")
    height: int = Field(description="the height as of which the rest is true")
    count: int = Field(description="entries of the contract, refused ones included")
    root: HashHex = Field(description="RFC 9162 root over their leaf hashes")
    record: dict[str, Any] | None = Field(description="null while only refused attempts exist")

    @classmethod
    def of(cls, view: ContractView) -> Contract:
        """Return what the API says of a contract."""
        return cls(
            contract=view.stream.removeprefix("contract/"),
            height=view.height,
            count=view.count,
            root=view.root.hex(),
            record=None if view.record is None else dict(view.record),
        )


class Status(Schema):
    """How this node is."""

    node: str = Field(description="id of the institution that runs it")
    network: str
    chain_id: HashHex
    origin: str = Field(description="origin line of the log's checkpoints")
    version: str
    mode: Literal["starting", "normal", "catching_up", "recovering", "halted"]
    detail: str = Field(description="why it is not in normal operation; empty where it is")
    detail_zh: str = Field(description="the same in Chinese")
    height: int
    block_hash: HashHex
    time_ms: int
    log_size: int
    log_root: HashHex
    state_root: HashHex
    certified_height: int
    certified_size: int
    view: int
    primary: int
    validator_count: int
    quorum: int
    peers_connected: int
    pool_count: int
    pool_bytes: int

    @classmethod
    def of(cls, service: LedgerService, view: StatusView) -> Status:
        """Return what the API says of the node."""
        genesis = service.genesis
        return cls(
            node=service.node_id,
            network=genesis.network,
            chain_id=genesis.chain_id.hex(),
            origin=genesis.origin,
            version=view.version,
            mode=view.mode,
            detail=view.detail,
            detail_zh=view.detail_zh,
            height=view.height,
            block_hash=view.block_hash.hex(),
            time_ms=view.time_ms,
            log_size=view.log_size,
            log_root=view.log_root.hex(),
            state_root=view.state_root.hex(),
            certified_height=view.certified_height,
            certified_size=view.certified_size,
            view=view.view,
            primary=view.primary,
            validator_count=view.validator_count,
            quorum=view.quorum,
            peers_connected=view.peers_connected,
            pool_count=view.pool_count,
            pool_bytes=view.pool_bytes,
        )


class Healthy(Schema):
    """The answer when all is well."""

    status: Literal["ok"] = "ok"
