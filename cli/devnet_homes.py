"""The homes of a devnet: several institutions' nodes in one directory, for trying things out.

    DIR/devnet.json     what clients need: addresses, tokens and the demo submitters' seeds (0600)
    DIR/authority.pem   the certificate that signed the nodes' API certificates; its key is not kept
    DIR/genesis.json    the trust root
    DIR/node-0 …        one home for each institution, as `genesis member` and `node init` make it

Here one person holds every key, so a devnet proves nothing to anybody. A directory that is there
already is taken as it is: keys are never made twice, and `devnet.json` is written last.
"""

from __future__ import annotations

import dataclasses
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Final

import msgspec

from api.tokens import encode_tokens, issue_token
from cli.demo import SUBMITTERS, demo_institutions
from cli.devnet_addresses import (
    LOOPBACK,
    Address,
    Layout,
    choose_addresses,
    choose_ports,
    hold,
)
from cli.devnet_state import (
    DevnetInstitution,
    DevnetNode,
    DevnetState,
    DevnetSubmitter,
    write_state,
)
from cli.failure import unusable
from cli.founding import (
    DEFAULT_PARAMETERS,
    Authority,
    Profile,
    create_member,
    default_backend,
    make_genesis,
    make_home,
    parse_member,
)
from genesis.document import Genesis, Parameters
from ledger.signing import SEED_BYTES, public_key_of
from node.certificates import write_certificate
from node.config import (
    ApiConfig,
    KeysConfig,
    NodeConfig,
    PeerConfig,
    SnapshotConfig,
    StorageConfig,
    VerificationConfig,
    load_config,
    render_config,
)
from node.endpoint import parse_endpoint
from node.home import NodeHome
from node.keystore import KeyPurpose, Keystore, Strength, read_passphrase
from node.private_files import PUBLIC, write_file

NETWORK: Final = "devnet"
TOKEN_SCOPES: Final = ("operator", "auditor", "regulator")


def create_devnet(layout: Layout) -> DevnetState:
    """Make every home and `devnet.json`; raise `Failure` over anything that is not a devnet."""
    directory = layout.directory.absolute()
    addresses = list(choose_addresses(layout))
    _clear_unfinished(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    homes = [NodeHome(directory / f"node-{at}") for at in range(layout.node_count)]
    cast = demo_institutions(layout.node_count)
    seeds = [{purpose: secrets.token_bytes(SEED_BYTES) for purpose in KeyPurpose} for _ in homes]
    members = []
    for at, (home, who) in enumerate(zip(homes, cast, strict=True)):
        home.create()
        write_file(home.passphrase, secrets.token_hex(16).encode() + b"\n", replace=True)
        address = addresses[at]
        profile = Profile(who.id, who.role, who.district, who.en, who.zh, address.api, address.peer)
        raw = create_member(
            home,
            profile,
            _passphrase(home),
            strength=Strength.INTERACTIVE,
            seeds=seeds[at],
        )
        members.append(parse_member(raw, home.path.name))
    parameters = _parameters(layout)
    genesis = make_genesis(
        members, network=NETWORK, time_ms=time.time_ns() // 1_000_000, parameters=parameters
    )
    authority = Authority.make("Devnet API authority") if layout.is_tls else None
    nodes = [
        _finish(home, genesis, at, layout, addresses[at], authority)
        for at, home in enumerate(homes)
    ]
    write_file(directory / "genesis.json", genesis.raw, mode=PUBLIC, replace=True)
    if authority is not None:
        write_certificate(directory / "authority.pem", authority.certificate, replace=True)
    state = DevnetState(
        genesis_hash=genesis.chain_id.hex(),
        genesis=str(directory / "genesis.json"),
        authority=str(directory / "authority.pem") if authority is not None else "",
        nodes=nodes,
        submitters=[_submitter(who.party) for who in SUBMITTERS],
        institutions=[
            DevnetInstitution(who.id, who.role, own[KeyPurpose.PARTY].hex())
            for who, own in zip(cast, seeds, strict=True)
        ],
    )
    write_state(directory, state)
    return state


def _clear_unfinished(directory: Path) -> None:
    """Remove homes whose making was cut short; refuse a directory that holds anything else."""
    if not directory.exists():
        return
    strangers = sorted(path.name for path in directory.iterdir() if not _is_own(path))
    if strangers:
        raise unusable(
            f"{directory} is neither empty nor a devnet: it holds {', '.join(strangers[:5])}. "
            "Name an empty directory.",
            f"{directory} 既不为空，也不是试验网络；其中有 {'、'.join(strangers[:5])}。"
            "请指定空目录。",
        )
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_own(path: Path) -> bool:
    """Say whether this is what an unfinished `create_devnet` leaves, a chain never among it."""
    if path.is_dir():
        is_home = re.fullmatch(r"node-[0-9]+", path.name) and (path / "keys").is_dir()
        return bool(is_home) and not any(NodeHome(path).chain.glob("*"))
    return re.fullmatch(r"authority\.pem|genesis\.json", path.name) is not None


def _passphrase(home: NodeHome) -> bytes:
    return read_passphrase(home.passphrase, environ={})


def _parameters(layout: Layout) -> Parameters:
    own = {
        "view_timeout_ms": layout.view_timeout_ms,
        "replay_window_ms": layout.replay_window_ms,
    }
    given = {name: value for name, value in own.items() if value}
    return msgspec.structs.replace(DEFAULT_PARAMETERS, **given)


def _finish(
    home: NodeHome,
    genesis: Genesis,
    replica: int,
    layout: Layout,
    address: Address,
    authority: Authority | None,
) -> DevnetNode:
    config = NodeConfig(
        replica=replica,
        peer=PeerConfig(listen=address.peer_listen),
        api=ApiConfig(listen=address.api_listen, tls=layout.is_tls),
        keys=KeysConfig(passphrase_file="keys/passphrase"),  # noqa: S106 - a file's name
        storage=StorageConfig(backend=layout.backend or default_backend()),
        snapshot=SnapshotConfig(layout.snapshot_blocks or SnapshotConfig().interval_blocks),
        verification=VerificationConfig(workers=_workers(layout.node_count)),
    )
    keystore = Keystore.open(home.keystore, _passphrase(home))
    now_ms = time.time_ns() // 1_000_000
    scopes = [
        *TOKEN_SCOPES,
        *(f"merchant:{who.party}" for who in SUBMITTERS if who.role == "merchant"),
        *(f"custodian:{who.party}" for who in SUBMITTERS if who.role == "gateway"),
    ]
    issued = {
        scope: issue_token(f"devnet-{scope.replace(':', '-')}", scope, now_ms) for scope in scopes
    }
    write_file(home.tokens, encode_tokens([record for _, record in issued.values()]), replace=True)
    make_home(home, genesis, config, keystore, authority=authority, hosts=address.hosts)
    return DevnetNode(
        id=genesis.institutions[replica].id,
        replica=replica,
        home=str(home.path),
        api=address.api,
        peer=address.peer,
        tokens={scope: token for scope, (token, _) in issued.items()},
        log=str(home.path.with_name(home.path.name + ".log")),
    )


def _workers(node_count: int) -> int:
    """Checks run in the node itself unless there is a core for each node's worker."""
    return 1 if (os.cpu_count() or 1) >= 2 * node_count else 0


def _submitter(party: str) -> DevnetSubmitter:
    who = next(one for one in SUBMITTERS if one.party == party)
    seed = secrets.token_bytes(SEED_BYTES)
    return DevnetSubmitter(
        party=party,
        role=who.role,
        district=who.district,
        industry=who.industry,
        name_zh=who.zh,
        seed=seed.hex(),
        public_key=public_key_of(seed).hex(),
    )


def move_ports(state: DevnetState) -> list[str]:
    """Give other ports to loopback nodes whose ports are taken; return a sentence for each.

    Genesis keeps the old addresses, so every node's configuration names the new ones. It is what
    counts: `state` follows it, and what an interrupted move left undone is done.
    """
    listening: dict[int, tuple[NodeHome, NodeConfig]] = {}
    for node in state.nodes:
        home = NodeHome(Path(node.home))
        listening[node.replica] = (home, load_config(home))
    ports = {
        replica: [parse_endpoint(config.api.listen), parse_endpoint(config.peer.listen)]
        for replica, (_, config) in listening.items()
    }
    if any(host != LOOPBACK for pair in ports.values() for host, _ in pair):
        return []
    used = [port for pair in ports.values() for _, port in pair]
    sentences = []
    endpoints: dict[str, str] = {}
    apis: dict[int, str] = {}
    for node in state.nodes:
        (_, api), (_, peer) = ports[node.replica]
        new = [
            port if hold(port, even_if_resting=True) else choose_ports(1, 0, used)[0]
            for port in (api, peer)
        ]
        used += new
        for old, port in zip((api, peer), new, strict=True):
            if old != port:
                sentences.append(
                    f"Port {old} of {node.id} is in use; it takes {port} instead. 端口已改。"
                )
        apis[node.replica] = f"{LOOPBACK}:{new[0]}"
        endpoints[node.id] = f"{LOOPBACK}:{new[1]}"
    for node in state.nodes:
        node.api = f"{node.api.partition('://')[0]}://{apis[node.replica]}"
        node.peer = endpoints[node.id]
    if not sentences and not any(config.peer.endpoints for _, config in listening.values()):
        return []  # nothing was ever moved: all are where genesis says
    for node in state.nodes:
        home, before = listening[node.replica]
        others = {name: at for name, at in endpoints.items() if name != node.id}
        config = dataclasses.replace(
            before,
            api=dataclasses.replace(before.api, listen=apis[node.replica]),
            peer=dataclasses.replace(before.peer, listen=node.peer, endpoints=others),
        )
        if config != before:
            write_file(home.config, render_config(config).encode(), replace=True)
    return sentences
