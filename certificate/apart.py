"""The evidence in a PDF, taken out by a process of its own that may use so much and no more.

The library that reads PDFs bounds their parts, and a hostile PDF has as many parts as it likes:
objects that begin within one another, tables in a chain, rows told by their differences. So that
process bounds itself before it reads: by the processor's time and by memory, which the kernel
counts whatever the PDF is made of (setrlimit(2)). It writes nothing but its answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Final

from certificate.attachment import NoEvidence, extract

CPU_S_MAX: Final = 30
"""Processor time for one PDF. A certificate takes some tenths of a second, and the largest evidence
file some seconds more."""

MEMORY_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
"""Memory for one PDF: the largest that is read is held once packed and once unpacked."""

_REFUSED: Final = 3
_TOO_LARGE: Final = 4


def extract_apart(pdf: bytes) -> bytes:
    """Return the evidence file attached to a certificate; raise `NoEvidence`."""
    if find_spec("pypdf") is None:
        raise ModuleNotFoundError(name="pypdf")
    done = subprocess.run(  # noqa: S603 our own module in our own interpreter
        [sys.executable, "-P", "-m", "certificate.apart", str(CPU_S_MAX), str(MEMORY_BYTES_MAX)],
        input=pdf,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    if done.returncode == _REFUSED:
        raise NoEvidence(*json.loads(done.stdout))
    if 0 < done.returncode != _TOO_LARGE:
        raise NoEvidence(
            f"the process that reads it ended with status {done.returncode}",
            f"读取它的进程以状态 {done.returncode} 结束",
        )
    mib = MEMORY_BYTES_MAX // 1024**2
    raise NoEvidence(
        f"reading it takes more than {CPU_S_MAX} s of the processor or {mib} MiB of memory, which "
        "no certificate does; a certificate as it was made, or the evidence saved as a file of its "
        "own, can be read",
        f"读取它所需超过 {CPU_S_MAX} 秒处理器时间或 {mib} MiB 内存，任何证书都不需要这么多；"
        "请提供原样的证书，或另存为单独文件的存证文件",
    )


def _bound(cpu_s_max: int, memory_bytes_max: int) -> None:
    """Have the kernel end this process at the bounds, where it has such."""
    try:
        import resource
    except ModuleNotFoundError:  # pragma: no cover - not on every system
        return
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s_max, cpu_s_max))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Answer for the PDF on standard input; the arguments are the two bounds."""
    _bound(*map(int, sys.argv[1:]))
    try:
        answer, status = extract(sys.stdin.buffer.read()), 0
    except NoEvidence as refused:
        answer, status = json.dumps([str(refused), refused.detail_zh]).encode(), _REFUSED
    except MemoryError:
        return _TOO_LARGE
    sys.stdout.buffer.write(answer)
    return status


if __name__ == "__main__":
    sys.exit(main())
