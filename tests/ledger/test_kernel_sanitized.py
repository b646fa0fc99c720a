"""The compiled kernel touches no byte that is not its own, as AddressSanitizer sees it.

The kernel reads what strangers send. Here it is compiled once more, with every access watched and
undefined behaviour an error, and every Python object in memory of its own, so that one byte beyond
an object's end is seen; then the tests of the kernel and of reading envelopes run with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "ledger/kernel_native.pyx"
LIBRARIES: Final = ("libasan.so", "libubsan.so")

pytestmark = pytest.mark.xdist_group("kernel under watch")

PUT_IN_ITS_PLACE: Final = """
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
loader = ExtensionFileLoader("ledger.kernel_native", sys.argv[1])
spec = spec_from_file_location("ledger.kernel_native", sys.argv[1], loader=loader)
native = module_from_spec(spec)
loader.exec_module(native)
sys.modules["ledger.kernel_native"] = native
import ledger
ledger.kernel_native = native
"""

RUN_TESTS: Final = (
    PUT_IN_ITS_PLACE
    + """
import pytest
tests = [f"tests/ledger/test_{name}.py" for name in ("kernel", "canonical_pass", "transaction")]
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-n", "0", "-k", "not plain", *tests]))
"""
)

READ_BEYOND: Final = (
    PUT_IN_ITS_PLACE
    + """
import ctypes
whole = ctypes.create_string_buffer(16)
ctypes.string_at(whole, 4096)
"""
)


def find_libraries(compiler: str) -> list[str]:
    """Return the sanitizers' libraries, or fewer where the compiler has none."""
    asked = [[compiler, f"-print-file-name={name}"] for name in LIBRARIES]
    told = [subprocess.run(ask, check=True, capture_output=True, text=True) for ask in asked]
    return [each.stdout.strip() for each in told if os.path.isabs(each.stdout)]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The kernel under watch, and the environment that it needs."""
    compiler = shutil.which("gcc")
    libraries = find_libraries(compiler) if compiler else []
    cython = Path(sys.executable).parent / "cython"
    if compiler is None or len(libraries) < len(LIBRARIES) or not cython.exists():
        pytest.skip("needs gcc with AddressSanitizer, and Cython")
    place = tmp_path_factory.mktemp("watched")
    code = place / "kernel_native.c"
    built = place / f"kernel_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([cython, "-3", SOURCE, "-o", code], check=True, capture_output=True)
    headers = sysconfig.get_paths()["include"]
    flags = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    shape = ["-shared", "-fPIC", f"-I{headers}"]
    subprocess.run([compiler, *flags, *shape, code, "-o", built], check=True, capture_output=True)
    environment = os.environ | {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": str(ROOT),
    }
    return built, environment


def run(watched: tuple[Path, dict[str, str]], code: str) -> subprocess.CompletedProcess[str]:
    built, environment = watched
    return subprocess.run(
        [sys.executable, "-c", code, str(built)],
        check=False,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_the_watch_sees_a_byte_too_many(watched: tuple[Path, dict[str, str]]) -> None:
    ran = run(watched, READ_BEYOND)
    assert ran.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in ran.stderr


def test_its_tests_pass_under_watch(watched: tuple[Path, dict[str, str]]) -> None:
    ran = run(watched, RUN_TESTS)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
