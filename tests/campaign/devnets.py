"""Devnets whose nodes can be made to suffer: by a clock of their own, in a place of their own.

A node that does not come up is made to say where it stands (`faulthandler`) before it is blamed: a
machine that is busy with other things is slow, a node that hangs is wrong.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.processes import read_cpu_s
from cli.devnet import Devnet, log_tail
from cli.devnet_state import DevnetNode, DevnetState
from cli.failure import Failure
from node.config import NodeConfig, VerificationConfig, load_config, render_config
from node.home import NodeHome

READY_S: Final = 1_800.0
"""A start takes two seconds of CPU; where others have priority that can be minutes."""


class PatientDevnet(Devnet):
    """Waits long for a node, and shows the stack of one that does not come."""

    def environment(self, node: DevnetNode) -> dict[str, str]:
        return super().environment(node) | {"PYTHONFAULTHANDLER": "1"}

    def wait_ready(self, replicas: Iterable[int] | None = None, ready_s: float = READY_S) -> None:
        waiting = list(range(len(self.state.nodes)) if replicas is None else replicas)
        for replica in waiting:
            try:
                super().wait_ready([replica], ready_s)
            except Failure as failure:
                process = self.process(replica)
                if process.poll() is not None:
                    raise
                used_s = read_cpu_s(process.pid)
                process.send_signal(signal.SIGABRT)
                process.wait()
                raise Failure(
                    failure.english,
                    f"{failure.chinese}\nIt had used {used_s:.1f} s of CPU and stood here:\n"
                    f"{log_tail(self.state.nodes[replica])}",
                ) from None


SMALL_STORAGE: Final = {"cache_bytes": 1 << 20, "write_buffer_bytes": 2 << 20, "rows_max": 4_096}
"""What a node keeps at hand in minutes: filled soon, so that what still grows has no bound."""


class ConfiguredDevnet(PatientDevnet):
    """Changes its nodes' configuration before they start."""

    def configure(self, config: NodeConfig) -> NodeConfig:
        raise NotImplementedError

    def start(self, replicas: Iterable[int] | None = None) -> None:
        for node in self.state.nodes:
            home = NodeHome(Path(node.home))
            home.config.write_text(render_config(self.configure(load_config(home))), "utf-8")
        super().start(replicas)


class SmallDevnet(ConfiguredDevnet):
    """Gives its nodes caches so small that a soak sees past them."""

    def configure(self, config: NodeConfig) -> NodeConfig:
        return replace(config, storage=replace(config.storage, **SMALL_STORAGE))


class WorkerDevnet(ConfiguredDevnet):
    """Has each node check signatures in a process of its own, however few cores there are."""

    def configure(self, config: NodeConfig) -> NodeConfig:
        return replace(config, verification=VerificationConfig(workers=1))


LIBFAKETIME: Final = next(
    (
        path
        for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
        for path in Path(folder).glob("faketime/libfaketimeMT.so.1")
    ),
    None,
)
"""Where Debian and others put it; None where it is not installed."""


class ClockedDevnet(PatientDevnet):
    """Gives each node a wall clock that can be put forward and back while it runs.

    Its monotonic clock goes on as it is, as when an operator sets the time.
    """

    def environment(self, node: DevnetNode) -> dict[str, str]:
        file = self._clock(node.replica)
        if not file.exists():
            file.write_text("+0\n")
        return super().environment(node) | {
            "LD_PRELOAD": str(LIBFAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def _clock(self, replica: int) -> Path:
        return self.directory / f"clock-{replica}"

    def set_clock(self, replica: int, offset_s: int) -> None:
        """Put a node's clock so far before (or, below 0, behind) this machine's."""
        new = self._clock(replica).with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(self._clock(replica))


class SmallDiskDevnet(PatientDevnet):
    """Keeps one node's home on a file system of its own, of a few megabytes."""

    REPLICA: Final = 3
    SIZE: Final = "48m"

    def __init__(self, directory: Path, state: DevnetState) -> None:
        super().__init__(directory, state)
        self.home = Path(state.nodes[self.REPLICA].home)
        kept = self.home.with_name("kept")
        self.home.rename(kept)
        self.home.mkdir(mode=0o700)
        if not mount_tmpfs(self.home, self.SIZE):
            raise Failure(
                "a file system of limited size cannot be mounted here",
                "此处不能挂载限定大小的文件系统",
            )
        shutil.copytree(kept, self.home, dirs_exist_ok=True)
        shutil.rmtree(kept)

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        subprocess.run(["umount", self.home], check=True)

    def fill(self, left_bytes: int) -> None:
        """Leave so much room."""
        with (self.home / "ballast").open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):  # full, though the node writes at the same time
                while file.write(bytes(65_536)):
                    pass
            if left_bytes:
                file.truncate(file.tell() - left_bytes)

    def empty(self) -> None:
        """Give the room back."""
        (self.home / "ballast").unlink()


def mount_tmpfs(path: Path, size: str) -> bool:
    """Mount a file system of limited size; return False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", path]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def can_mount() -> bool:
    """Say whether this process may mount a file system of limited size."""
    with tempfile.TemporaryDirectory() as place:
        if not mount_tmpfs(Path(place), "1m"):
            return False
        subprocess.run(["umount", place], check=True)
    return True
