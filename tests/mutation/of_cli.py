"""Mistakes in the command line: what a submitter keeps."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

PROMISES = "tests/cli/test_promises.py::"

MUTANTS = (
    Mutant(
        "promise-kept-that-proves-nothing",
        "cli/promises.py",
        "            self.worthless.setdefault(url, rejected)\n            return",
        "            self.worthless.setdefault(url, rejected)",
        "a receipt that proves nothing is kept as if it did",
        PROMISES + "test_what_proves_nothing_is_said_and_not_kept",
    ),
    Mutant(
        "promise-about-what-was-not-taken",
        "cli/promises.py",
        '            if result.get("accepted")\n',
        "",
        "what was not taken in counts as a leaf under the receipt's root",
        PROMISES + "test_each_promise_is_kept_with_what_it_is_about",
    ),
    Mutant(
        "promise-of-later-kept-too",
        "cli/promises.py",
        "                    self._kept.add((url, name))\n",
        "",
        "each later promise of a node about the same is kept beside the first",
        PROMISES + "test_a_promise_about_one_is_kept_and_the_later_ones_are_not",
    ),
    Mutant(
        "promise-half-written",
        "cli/promises.py",
        "            os.ftruncate(self._descriptor, self._size)\n",
        "",
        "half a line stays of a promise for which there was no room",
        PROMISES + "test_of_what_cannot_be_written_whole_nothing_stays",
    ),
)
