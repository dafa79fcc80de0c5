"""Runs the tests of the udp machines as each mutant, until one fails. Every mutant is caught; with no mutant all pass."""

import collections
import math
import re
import resource
import signal
import subprocess
import unittest

from tests.sim.udp.mutants import mutants

_PROGRAM = "tests/sim/udp/mutants/mutated_tests"
_BYTES = 4 << 30  # of a process's data; mistakes may eat without end

Outcome = collections.namedtuple("Outcome", "passed last_test ending output")


def run(number, cpu_seconds=None):
    """All tests as that mutant, until a first check fails; each may take so much processor time."""
    # Of each cell of the matrix one seed. Nothing else of our own environment, which says where our results go.
    environment = {"ANYWIRE_MUTANT": str(number), "ANYWIRE_SIM_SEEDS": "1"}
    if cpu_seconds:
        environment["ANYWIRE_TEST_CPU_SECONDS"] = str(cpu_seconds)
    process = subprocess.run([_PROGRAM, "--gtest_break_on_failure"], env=environment, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, check=False)
    output = process.stdout.decode(errors="replace")
    begun = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    endings = {0: "passes", -signal.SIGTRAP: "fails", -signal.SIGPROF: "does not end"}
    return Outcome(passed=process.returncode == 0,
                   last_test=begun[-1] if begun else "no test",
                   ending=endings.get(process.returncode, "crashes"),
                   output=output)


def setUpModule():
    # Of ours, and so of all that we start.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))


class MutantsTest(unittest.TestCase):

    def test_every_mutant_is_caught(self):
        control = run(0)
        self.assertTrue(control.passed, "with no mutant %s %s:\n%s" % (control.last_test, control.ending, control.output[-2000:]))
        longest = max(int(milliseconds) for milliseconds in re.findall(r"\((\d+) ms\)$", control.output, re.MULTILINE))
        cpu_seconds = math.ceil(3 * longest / 1000)
        survivors = []
        for number, mutant in enumerate(mutants.MUTANTS, start=1):
            outcome = run(number, cpu_seconds)
            print("%3d %-28s %s" % (number, mutant.name, "SURVIVES, though %s" % mutant.breaks if outcome.passed else
                                    "%s %s" % (outcome.last_test, outcome.ending)), flush=True)
            if outcome.passed:
                survivors.append(mutant.name)
        print("%d of %d mutants are caught" % (len(mutants.MUTANTS) - len(survivors), len(mutants.MUTANTS)),
              flush=True)
        self.assertEqual([], survivors)

    def test_there_are_many(self):
        self.assertGreaterEqual(len(mutants.MUTANTS), 100)
        self.assertEqual(len(mutants.MUTANTS), len({mutant.name for mutant in mutants.MUTANTS}))


if __name__ == "__main__":
    unittest.main()
