"""The commands of docs/FORMATS.md for others' tools, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.outside.authority import OPENSSL, needs_openssl
from tests.outside.test_go import judge
from tests.system.networks import running_network
from tests.verifier.mutating import honest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```sh\n(.*?)^```$", (ROOT / "docs/FORMATS.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)


def typed(says: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the one block that says this, where `python3` and our command are this environment's."""
    (block,) = [block for block in BLOCKS if says in block]
    return subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=folder,
        env=os.environ
        | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_openssl
def test_openssl_verifies_a_raw_signature(tmp_path: Path) -> None:
    assert OPENSSL is not None
    (tmp_path / "card.evidence.json").write_bytes(honest().encode())
    done = typed("openssl pkeyutl", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Signature Verified Successfully\n"
    message = tmp_path / "message"
    message.write_bytes(message.read_bytes()[:-1] + b"\0")
    (command,) = [line for block in BLOCKS for line in block.splitlines() if "pkeyutl" in line]
    refused = subprocess.run(
        [OPENSSL, *command.split()[1:]], cwd=tmp_path, capture_output=True, check=False
    )
    assert refused.returncode == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the program curl is not installed")
def test_go_judges_the_log_of_a_running_network(program: Path, tmp_path: Path) -> None:
    """Of 300 entries, so that there are full tiles, partial ones and a second level."""
    with running_network(tmp_path / "net", node_count=1) as network:
        tx_id, envelope = network.opening()
        network.settle(0, envelope, "certified")
        with network.client(0) as client:
            for _ in range(150):  # each in a block of its own, which has a header
                client.settle(network.opening()[1], "committed")
            client.settle(network.opening()[1], "certified")
        state = network.devnet.state
        shutil.copy(state.genesis, tmp_path / "genesis.json")
        done = typed(
            "log/checkpoint",
            tmp_path,
            API=state.nodes[0].api,
            TOKEN=state.nodes[0].tokens["auditor"],
            TX=tx_id,
            CURL_CA_BUNDLE=str(state.authority),
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert re.fullmatch(
        r"proof: entry \d+ of \d+\nlog: 3\d\d entries", judge(program, tmp_path / "log")
    )
