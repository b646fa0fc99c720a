"""Runs tests against mutants in a scratch copy of the tree, each in a process forked for it.

The parent imports pytest and what the project depends on, and none of the project itself; a child
goes into its scratch copy, where one file is mutated, runs the named tests there and writes down
what failed. So starting costs a fork, and the tree is never touched. A child that never loaded the
mutated module, or loaded anything from the tree itself, is an error and no catch.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.mutation.mutant import Mutant, Outcome

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", "*.so", "*.c", "*.egg-info", "node_modules", "*.log"
)
"""What a scratch copy does without; the compiled kernel too, so that the plain one is tested."""

CPU_S_MAX = 300
"""Processor time of one child: a mutant may make a loop endless, and no test takes this long."""

PRELOADED = (
    "_pytest.assertion.rewrite", "_pytest.logging", "_pytest.python", "_pytest.terminal",
    "google_crc32c", "hypothesis", "hypothesis.strategies", "hypothesis.stateful", "msgpack",
    "msgspec", "nacl.bindings", "pytest_asyncio.plugin", "rfc8785", "unittest.mock",
)  # fmt: skip
"""Imported once, before the first fork."""


@dataclass(eq=False)
class Listener:
    """A pytest plugin that writes down what failed and why."""

    failed: list[str] = field(default_factory=list)
    how: str = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failing test, once."""
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)
            self.how = self.how or _one_line(report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that tests could not even be collected."""
        if report.failed:
            self.how = self.how or f"not collected: {_one_line(report.longrepr)}"

    def pytest_internalerror(self, excrepr: object) -> None:
        """Note that pytest itself broke off."""
        self.how = self.how or f"broke off: {_one_line(excrepr)}"


class Scratch:
    """A copy of the tree in which one file at a time is mutated."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        shutil.copytree(ROOT, self.root, ignore=LEFT_OUT)
        self._changed: tuple[Path, str] | None = None

    def put(self, mutant: Mutant | None) -> None:
        """Make the copy that of a mutant, or whole again; raise `Stale`."""
        if self._changed is not None:
            path, text = self._changed
            self._write(path, text)
            self._changed = None
        if mutant is not None:
            path = self.root / mutant.file
            text = mutant.apply(self.root)
            self._changed = (path, path.read_text("utf-8"))
            self._write(path, text)

    def run(self, tests: Sequence[str], mutant: Mutant | None, *, stops: bool) -> Outcome:
        """Run tests in a forked process and return what failed; `stops` at the first failure."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = _in_child(lambda: self._examine(tests, mutant, stops=stops))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        nobody = Mutant("none", "", "", "", "", "")
        return Outcome(mutant or nobody, tests[0], tuple(found["failed"]), found["how"], cpu_s)

    def find_violation(self, arguments: str, mutant: Mutant) -> str:
        """Run one seed of the simulator on a mutant; return its violation, or nothing."""
        return str(_in_child(lambda: self._simulate(arguments, mutant))["how"])

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, "utf-8")
        for cached in path.parent.glob(f"__pycache__/{path.stem}.*"):
            cached.unlink()  # one second and one size may be those of another mutant

    # In the child

    def _enter(self) -> None:
        """Become a process that knows the scratch copy and not the tree this was started in."""
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
        os.chdir(self.root)
        sys.path[:] = [str(self.root)] + [
            item for item in sys.path if Path(item or ".").resolve() not in (ROOT, self.root)
        ]
        # What an editable installation puts here finds the tree itself.
        sys.meta_path[:] = [
            finder
            for finder in sys.meta_path
            if not getattr(finder, "__module__", "").startswith("__editable__")
        ]
        for name in _find_modules(ROOT):
            del sys.modules[name]
        importlib.invalidate_caches()

    def _examine(
        self, tests: Sequence[str], mutant: Mutant | None, *, stops: bool
    ) -> dict[str, Any]:
        self._enter()
        listener = Listener()
        quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={self.root}"]
        quiet += ["--hypothesis-seed=0"]  # the same examples every time
        # What was imported before the fork is not rewritten, and none of it holds a test.
        quiet += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        status = pytest.main([*quiet, *(["-x"] if stops else []), *tests], [listener])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return {"failed": [], "how": listener.how or f"pytest ended with {status!r}"}
        complaint = self._complain(mutant)
        if complaint is not None:
            return {"failed": [], "how": complaint}
        return {"failed": listener.failed, "how": listener.how}

    def _simulate(self, arguments: str, mutant: Mutant) -> dict[str, Any]:
        self._enter()
        from sim.simulation import Options, run_seed

        words = dict(zip(arguments.split()[::2], arguments.split()[1::2], strict=True))
        options = Options(
            heights=int(words.get("--heights", Options().heights)),
            count=int(words["--nodes"]) if "--nodes" in words else None,
            family=words.get("--family"),
        )
        violation = run_seed(int(words["--seed"]), options).violation
        return {"failed": [], "how": self._complain(mutant) or violation or ""}

    def _complain(self, mutant: Mutant | None) -> str | None:
        """Return what is wrong with where the modules came from, if anything is."""
        strays = _find_modules(ROOT)
        if strays:
            return f"{', '.join(strays)} came from the tree and not from its copy"
        if mutant is None:
            return None
        name = mutant.file.removesuffix(".py").replace("/", ".")
        return None if name in sys.modules else f"the test does not load {mutant.file}"


def run_in_pieces(
    mutants: Iterable[Mutant],
    folder: Path,
    examine: Callable[[Scratch, Mutant], Outcome],
    workers: int,
) -> Iterator[Outcome]:
    """Yield the outcome of each mutant, several processes at work, in the order they end."""
    preload()
    chosen = list(mutants)
    workers = max(1, min(workers, len(chosen)))
    if workers == 1:
        scratch = Scratch(folder)
        yield from (examine(scratch, mutant) for mutant in chosen)
        return
    readers = []
    for number in range(workers):
        read, write = os.pipe()
        if os.fork() == 0:
            status = 1
            try:
                os.close(read)
                scratch = Scratch(folder / str(number))
                with os.fdopen(write, "w") as out:
                    for mutant in chosen[number::workers]:
                        out.write(json.dumps(_pack(examine(scratch, mutant))) + "\n")
                        out.flush()
                status = 0
            finally:
                os._exit(status)
        os.close(write)
        readers.append(os.fdopen(read))
    by_name = {mutant.name: mutant for mutant in chosen}
    yield from _read_all(readers, by_name)
    for _ in readers:
        _, status = os.wait()
        if status:
            raise ChildProcessError("a process of the mutation check broke off; see above")


def preload() -> None:
    """Import what every child needs and what is not under examination."""
    for name in PRELOADED:
        importlib.import_module(name)


def _read_all(readers: Sequence[IO[str]], by_name: dict[str, Mutant]) -> Iterator[Outcome]:
    buffers = {reader.fileno(): b"" for reader in readers}
    while buffers:
        ready, _, _ = select.select(list(buffers), [], [])
        for descriptor in ready:
            data = os.read(descriptor, 65_536)
            if not data:
                del buffers[descriptor]
                continue
            *lines, buffers[descriptor] = (buffers[descriptor] + data).split(b"\n")
            for line in lines:
                yield _unpack(json.loads(line), by_name)


def _pack(outcome: Outcome) -> list[Any]:
    return [outcome.mutant.name, outcome.catcher, outcome.failed, outcome.how, outcome.cpu_s]


def _unpack(row: list[Any], by_name: dict[str, Mutant]) -> Outcome:
    name, catcher, failed, how, cpu_s = row
    return Outcome(by_name[name], catcher, tuple(failed), how, cpu_s)


def _in_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `work` in a forked process without a terminal and return what it returns."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            quiet = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(quiet, descriptor)
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear it
                result = {"failed": [], "how": f"broke off: {type(error).__name__}: {error}"}
            with os.fdopen(write, "w") as out:
                json.dump(result, out)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if not text:
        return {"failed": [], "how": f"the process ended with status {status} and said nothing"}
    return json.loads(text)  # type: ignore[no-any-return]


def _find_modules(root: Path) -> list[str]:
    """Return the names of what was loaded from below `root`, the virtual environment apart."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        places = [file] if file else list(getattr(module, "__path__", []))  # a folder of tests
        if any(
            isinstance(place, str)
            and Path(place).is_relative_to(root)
            and not Path(place).is_relative_to(root / ".venv")
            for place in places
        ):
            found.append(name)
    return found


def _one_line(longrepr: object) -> str:
    crash = getattr(longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else longrepr)
    return " ".join(text.split())[:200]
