"""What the generator makes of a table."""

import unittest

from tests.sim.udp.mutants import mutate
from tests.sim.udp.mutants.mutants import Mutant


def _mutant(original, mutated):
    return Mutant("Name", "a.cc", original, mutated, "nothing")


class MutateTest(unittest.TestCase):

    def test_an_expression_is_a_choice(self):
        self.assertEqual("x = (::anywire::udp::Mutant(3) ? (2) : (1 + 1));",
                         mutate.mutate("x = 1 + 1;", [(3, _mutant("1 + 1", "2"))]))

    def test_statements_are_a_branch(self):
        self.assertEqual("if (::anywire::udp::Mutant(3)) {  } else { a(); b(); } c();",
                         mutate.mutate("a(); b(); c();", [(3, _mutant("a(); b();", ""))]))

    def test_one_original_may_have_several(self):
        self.assertEqual("(::anywire::udp::Mutant(1) ? (a) : ::anywire::udp::Mutant(2) ? (b) : (x))",
                         mutate.mutate("x", [(1, _mutant("x", "a")), (2, _mutant("x", "b"))]))

    def test_two_in_a_file(self):
        text = mutate.mutate("f(); g();", [(1, _mutant("g();", "")), (2, _mutant("f();", ""))])
        self.assertLess(text.index("Mutant(2)"), text.index("Mutant(1)"))

    def test_an_original_occurs_once(self):
        for text in ("x x", "y"):
            with self.assertRaisesRegex(ValueError, "Name: its original occurs . times in a.cc"):
                mutate.mutate(text, [(1, _mutant("x", "z"))])

    def test_originals_do_not_overlap(self):
        with self.assertRaisesRegex(ValueError, "overlap"):
            mutate.mutate("abc", [(1, _mutant("ab", "")), (2, _mutant("bc", ""))])


if __name__ == "__main__":
    unittest.main()
