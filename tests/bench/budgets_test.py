"""Holds calls to their budgets (budgets.py). No time is measured: what is counted is the same on every machine."""

import tempfile
import unittest

from tests.bench import budgets
from tests.bench import counting
from tests.bench import transports


class BudgetsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        # Not the test's own folder: a socket's path must be short.
        folder = tempfile.TemporaryDirectory(dir="/tmp", prefix="budgets-")
        cls.addClassCleanup(folder.cleanup)
        cls._folder = folder.name
        cls._transports = transports.registered(folder.name)
        cls._uris = 0

    def each(self):
        """The transports that have budgets, each with a fresh place to listen on; test_transports_have_budgets sees to the others."""
        for transport in self._transports:
            if transport.scheme in budgets.BUDGETS:
                BudgetsTest._uris += 1
                yield transport, transport.uri_for(self._uris)

    def hold(self, transport, form, what, count, budget, profile=lambda: ""):
        print("%-14s %-10s %-26s %9.2f of %9.2f" % (transport.scheme, form, what, count, budget), flush=True)
        with self.subTest(transport=transport.scheme, form=form, what=what):
            if count > budget:
                print(profile())
            self.assertLessEqual(count, budget)

    def test_transports_have_budgets(self):
        for transport in self._transports:
            self.assertIn(transport.scheme, budgets.BUDGETS,
                          "the transport %s has no budgets: add it to BUDGETS in tests/bench/budgets.py" % transport.scheme)
            for form in counting.FORMS:
                self.assertIn(form, budgets.BUDGETS[transport.scheme])

    def test_instructions(self):
        for transport, uri in self.each():
            instructions = counting.Instructions(transport, uri, budgets.CALLS, self._folder)
            for form in counting.FORMS:
                self.hold(transport, form, "instructions", sum(instructions.of(form).values()),
                          budgets.BUDGETS[transport.scheme][form].instructions,
                          lambda: instructions.profile(form))

    def test_allocations(self):
        for transport, uri in self.each():
            counts = counting.count_allocations(transport, uri, budgets.CALLS, self._folder)
            for form in counting.FORMS:
                self.hold(transport, form, "allocations", counts[form],
                          budgets.BUDGETS[transport.scheme][form].allocations)

    def test_system_calls_and_bytes(self):
        for transport, uri in self.each():
            counts = counting.count_system_calls(transport, uri, budgets.CALLS, self._folder)
            for form in counting.FORMS:
                budget = budgets.BUDGETS[transport.scheme][form]
                for side, kernel in counts[form].items():
                    self.hold(transport, form, "system calls, " + side, kernel.total(),
                              budget.client_calls if side == "client" else budget.server_calls,
                              lambda: "  ".join("%s %.3f" % item for item in kernel.names.items() if item[1] >= 0.01))
                self.hold(transport, form, "bytes sent", sum(kernel.sent for kernel in counts[form].values()),
                          budget.sent_bytes)


if __name__ == "__main__":
    unittest.main()
