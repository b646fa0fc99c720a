"""A stopped node's storage, opened from outside: for backups, restoring and tokens.

The lock is the node's own, so none of this can run beside it. Nothing here executes or repairs
anything; a chain that needs that is left to the node.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from api.tokens import TokenRecord, encode_tokens, parse_tokens
from cli.failure import Failure, unusable
from cli.founding import read_genesis
from cli.passed_on import explain
from ledger.refusal import Rejected
from ledger.validators import ValidatorSet
from node.archived import open_segments
from node.config import NodeConfig, load_config
from node.home import NodeHome
from node.private_files import write_file
from node.server import LOCK_FILE, open_keyvalue
from node.snapshot_install import is_complete, open_base
from storage.backup import (
    BASE_DIRECTORY,
    CHECKPOINTS_FILE,
    SEGMENTS_DIRECTORY,
    STATEMENT_DIRECTORIES,
    Manifest,
    demand_recovery,
    restore,
)
from storage.chain import GENESIS_START, ChainStore
from storage.files import DiskDirectory, InUse, sync_directory
from storage.keyvalue import KeyValue
from verifier.report import Words


@contextmanager
def hold_home(home: NodeHome) -> Iterator[tuple[NodeConfig, DiskDirectory]]:
    """Hold a stopped node's home against the node itself; raise `Failure` while it runs.

    Directories that are missing are made: only keys and configuration are brought back by hand.
    """
    config, own = _lock(home, is_read_only=False)
    with closing(own):
        home.create()
        with closing(DiskDirectory(home.chain)) as directory:
            yield config, directory


@contextmanager
def view_home(home: NodeHome) -> Iterator[NodeConfig]:
    """Hold a stopped node's home to look at it, changing nothing; raise `Failure` while it runs."""
    config, own = _lock(home, is_read_only=True)
    with closing(own):
        yield config


def _lock(home: NodeHome, *, is_read_only: bool) -> tuple[NodeConfig, DiskDirectory]:
    if not home.config.exists():
        raise _no_home(home)
    config = load_config(home)
    own = DiskDirectory(home.path, is_read_only=is_read_only)
    try:
        own.lock(LOCK_FILE)
    except InUse as error:
        own.close()
        raise Failure(
            f"{error}; stop it first.", f"{home.path} 正被占用；请先停止该进程。"
        ) from None
    return config, own


def _no_home(home: NodeHome) -> Failure:
    return unusable(
        f"{home.path} is not a node's home: it holds no node.toml.",
        f"{home.path} 不是节点目录：其中没有 node.toml。",
    )


@contextmanager
def open_stopped_chain(home: NodeHome) -> Iterator[ChainStore]:
    """Open a stopped node's chain as it lies there."""
    with hold_home(home) as (config, directory):
        if (
            not directory.names()
        ):  # opening one would begin an index, and a home with one has a chain
            raise Failure(
                f"{home.path} holds no chain yet; nothing was changed.",
                f"{home.path} 中尚无链数据；未作任何更改。",
            )
        base = open_base(home)
        start = GENESIS_START if base is None else base.start
        chain_id = read_genesis(home.resolve(config.genesis)).chain_id
        segments = open_segments(home, config, chain_id, directory)
        store = ChainStore.open(segments, open_index(home, config), start=start)
        try:
            yield store
        finally:
            store.close()


def open_index(home: NodeHome, config: NodeConfig) -> KeyValue:
    """Open the index of a chain that is here; raise `Failure` where it has to be built first.

    One that is made here would be empty, and so one that the node takes for damaged.
    """
    if not any(home.index.iterdir()):
        raise Failure(
            f"{home.index} is empty: start the node and stop it once, so that it builds the index. "
            "Nothing was changed.",
            f"{home.index} 为空：请启动节点并停止一次，使其建立索引。未作任何更改。",
        )
    return open_keyvalue(home.index, config.storage)


def restore_chain(backup: Path, home: NodeHome) -> tuple[Manifest, Words]:
    """Restore a backup's chain into a home that has keys, configuration, genesis and no chain.

    Returned beside the manifest is what the recovery that follows needs (`describe_recovery`).

    The mark that demands recovery is durable before the chain is in its place, and the segments
    come last and all at once: a crash leaves a home into which the same backup can be restored
    again, or the whole chain, and never one that votes.
    """
    with hold_home(home) as (config, directory):
        genesis = read_genesis(home.resolve(config.genesis))
        if directory.names() or any(home.index.glob("*")):
            raise unusable(
                f"{home.path} holds a chain; restore never overwrites one.",
                f"{home.path} 中已有链数据；恢复备份绝不覆盖。",
            )
        if home.join_marker.exists() or is_complete(home):
            raise Failure(
                f"{home.path} is to join by a snapshot, which would take the place of what is "
                f"restored. Nothing was changed. To restore instead, remove {home.join_marker} and "
                f"{home.joining}.",
                f"{home.path} 将以快照加入，届时会取代恢复的数据。未作任何更改。"
                f"如要恢复备份，请先删除 {home.join_marker} 与 {home.joining}。",
            )
        staging = home.path / "restore.partial"
        if staging.exists():
            shutil.rmtree(staging)
        manifest = restore(backup, staging)
        if (staging / "genesis.json").read_bytes() != genesis.raw:
            shutil.rmtree(staging)
            own = home.resolve(config.genesis)
            raise unusable(
                f"{backup} is of another chain than {own}.", f"{backup} 与 {own} 不属于同一条链。"
            )
        reason = (
            f"Restored from a backup at height {manifest.applied_height}: the votes of this node "
            "since then are not in it."
        )
        if not home.recover_marker.exists():
            demand_recovery(home.path, reason)
        home.archived.unlink(missing_ok=True)
        if home.base.exists():
            shutil.rmtree(home.base)
        if (staging / BASE_DIRECTORY).exists():
            os.rename(staging / BASE_DIRECTORY, home.base)
        os.replace(staging / CHECKPOINTS_FILE, home.path / CHECKPOINTS_FILE)
        _restore_statements(staging, home)
        sync_directory(home.path)
        os.rename(staging / SEGMENTS_DIRECTORY, home.chain)
        sync_directory(home.path)
        shutil.rmtree(staging)
        return manifest, describe_recovery(genesis.validators)


def _restore_statements(staging: Path, home: NodeHome) -> None:
    """Bring back what outsiders said of checkpoints; what the home still has is no older."""
    for name in STATEMENT_DIRECTORIES:
        files = sorted((staging / name).glob("*.json"))
        if files:
            folder = home.path / name
            folder.mkdir(mode=0o700, exist_ok=True)
            for file in files:
                if not (folder / file.name).exists():
                    os.rename(file, folder / file.name)
            sync_directory(folder)


def mark_join(home: NodeHome, reason: str, *, is_discarding: bool) -> bool:
    """Have a stopped node take a snapshot at its next start; say whether it then gives up blocks.

    It starts in recovery as well: a chain that comes from others says nothing of one's own votes.
    """
    with hold_home(home) as (config, directory):
        if home.join_marker.exists():
            raise _marked(home.join_marker)
        endless = endless_recovery(read_genesis(home.resolve(config.genesis)).validators)
        if endless:
            raise Failure(
                f"{endless.en} Nothing was changed: a node that joins by a snapshot has to "
                "recover.",
                f"{endless.zh}未作任何更改：以快照加入的节点必须经过恢复。",
            )
        has_blocks = bool(directory.names()) or home.archived.exists()
        if has_blocks and not is_discarding:
            raise Failure(
                f"{home.chain} holds blocks, which this node would give up and could not serve any "
                "more; a node that is behind catches up by blocks when it is started. Nothing was "
                "changed. With --discard-blocks they are removed once a snapshot is fetched: be "
                "sure that other members hold them.",
                f"{home.chain} 中有区块，以快照加入将放弃它们，此后无法再提供；"
                "落后的节点只须启动即可逐块追上。未作任何更改。若加 --discard-blocks，"
                "取得快照后即删除这些区块：请先确认其他机构存有它们。",
            )
        if not home.recover_marker.exists():
            demand_recovery(home.path, f"Joining by a snapshot: {reason}")
        write_file(home.join_marker, reason.encode() + b"\n")
        return has_blocks


def mark_recovery(home: NodeHome, reason: str, *, is_serving_only: bool) -> Words:
    """Have a stopped node start in recovery; return what that needs (`describe_recovery`).

    A recovery that cannot end is refused unless the node is only to serve what it has.
    """
    with hold_home(home) as (config, _):
        if home.recover_marker.exists():
            raise _marked(home.recover_marker)
        validators = read_genesis(home.resolve(config.genesis)).validators
        endless = endless_recovery(validators)
        if endless and not is_serving_only:
            raise Failure(
                f"{endless.en} Nothing was changed. With --serve-only the node is marked all the "
                "same: it then serves what it has and never signs again. What the operators can "
                'do instead stands in docs/OPERATING.md, "When too many have forgotten".',
                f"{endless.zh}未作任何更改。若加 --serve-only，仍作标记：节点此后只提供已有数据，"
                "不再签名。各机构可采取的其他办法见 docs/OPERATING.zh-CN.md“遗忘者过多时”。",
            )
        demand_recovery(home.path, reason)
        return describe_recovery(validators)


def _marked(marker: Path) -> Failure:
    return unusable(
        f"{marker} is there already; nothing was changed.", f"{marker} 已存在；未作任何更改。"
    )


def endless_recovery(validators: ValidatorSet) -> Words | None:
    """Return why a recovery in this network never ends, None if it can."""
    others = len(validators) - 1
    if others >= validators.quorum:
        return None
    needed = "one other" if validators.quorum == 1 else f"{validators.quorum} others"
    return Words(
        f"在此网络中恢复无法完成：须有其他 {validators.quorum} 个节点应答，"
        f"而其他节点只有 {others} 个。",
        f"Recovery cannot end in this network: it needs the answers of {needed}, and there "
        f"{'is' if others == 1 else 'are'} {others or 'none'}.",
    )


def describe_recovery(validators: ValidatorSet) -> Words:
    """Return how many may recover at once, or why a recovery in this network never ends."""
    endless = endless_recovery(validators)
    if endless is not None:
        return Words(
            f"{endless.zh}节点只提供已有数据，不作任何签名。",
            f"{endless.en} The node will serve what it has and sign nothing.",
        )
    count = len(validators)
    room = count - validators.quorum
    return Words(
        f"同时恢复的节点至多 {room} 个（共 {count} 个）；超过此数，链即停止，"
        "见 docs/OPERATING.zh-CN.md“遗忘者过多时”。",
        f"At most {room} of {count} nodes may recover at once; with more, the chain stands still: "
        'see docs/OPERATING.md, "When too many have forgotten".',
    )


def read_tokens(home: NodeHome) -> list[TokenRecord]:
    """Return the issued tokens of a home."""
    if not home.config.exists():
        raise _no_home(home)
    if not home.tokens.exists():
        return []
    try:
        return list(parse_tokens(home.tokens.read_bytes()).records)
    except Rejected as rejected:
        raise unusable(
            f"{home.tokens}: {rejected.detail}.",
            f"访问令牌无法使用：{home.tokens}：{explain(rejected)}。",
        ) from None


def write_tokens(home: NodeHome, records: Sequence[TokenRecord]) -> None:
    """Replace the issued tokens of a home."""
    raw = encode_tokens(records)
    parse_tokens(raw)
    write_file(home.tokens, raw, replace=True)
