"""The verifier's command, given spoilt files: a report and a status, and never "consistent"."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.fuzz.amount import chance_of, share
from tests.fuzz.mutations import mutate
from tests.fuzz.targets import CORPUS
from tests.verifier.mutating import honest
from tests.verifier.small_chain import CARD_SIGNERS, busy_chain
from verifier.main import main


def run(*arguments: str | Path) -> tuple[int, str]:
    out = io.StringIO()
    return main([str(one) for one in arguments], out=out), out.getvalue()


@pytest.mark.parametrize("kind", ["transaction", "history"])
def test_a_spoilt_evidence_file_is_never_consistent_and_never_a_traceback(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = chance_of(f"verifier {kind}")
    chain = busy_chain()
    good = honest().encode() if kind == "transaction" else chain.history("card-1", CARD_SIGNERS)
    others = [file.read_bytes() for file in sorted((CORPUS / "evidence").iterdir())]
    file = tmp_path / "evidence.json"
    genesis_hash = chain.chain_id.hex()
    file.write_bytes(good)
    assert run(file, "--genesis-hash", genesis_hash)[0] == 0
    for number in range(share(0.15)):
        raw = mutate(chance, good, others)
        if raw in (good, *others):
            continue
        file.write_bytes(raw)
        form = chance.choice([[], ["--json"]])
        try:
            status, text = run(file, "--genesis-hash", genesis_hash, *form)
        except (Exception, SystemExit) as error:  # noqa: BLE001 it is what is looked for
            pytest.fail(f"file {number}: {error!r} for {raw.hex()}")
        assert status in (1, 2), raw.hex()
        assert "Traceback" not in text + capsys.readouterr().err
