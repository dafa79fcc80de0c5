"""Copies C++ sources into a folder, with every mutant of the table in them: a program made of the copies is all mutants at
once, and which one it is it asks Mutant(number) while it runs.

An original that ends in ';' or '}' is one statement or several; any other is an expression. Each occurs exactly once in its
file, or the build fails and says which does not.
"""

import argparse
import collections
import os
import re
import sys

from tests.sim.udp.mutants import mutants

_MUTANT_H = '#include "tests/sim/udp/mutants/mutant.h"\n'


def mutated_text(original, choices):
    """`original`, or what each (number, text) of `choices` has in its place when the program is that mutant."""
    if original.rstrip()[-1] in ";}":
        branches = "".join("if (::anywire::udp::Mutant(%d)) { %s } else " % choice for choice in choices)
        return branches + "{ %s }" % original
    branches = "".join("::anywire::udp::Mutant(%d) ? (%s) : " % choice for choice in choices)
    return "(%s(%s))" % (branches, original)


def mutate(text, table):
    """`text` of a file with the mutants of `table`, a list of (number, Mutant) of that file."""
    choices = collections.defaultdict(list)
    for number, mutant in table:
        count = text.count(mutant.original)
        if count != 1:
            raise ValueError("%s: its original occurs %d times in %s: %r" % (mutant.name, count, mutant.file, mutant.original))
        choices[mutant.original].append((number, mutant.mutated))
    # By place, from the end, so that places before stay as they are.
    places = sorted(((text.index(original), original) for original in choices), reverse=True)
    behind = len(text)
    for begin, original in places:
        end = begin + len(original)
        if end > behind:
            raise ValueError("originals overlap: %r" % original)
        text = text[:begin] + mutated_text(original, choices[original]) + text[end:]
        behind = begin
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="where the copies go, as the compiler sees it")
    parser.add_argument("sources", nargs="+")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    # As sources include it: below the compiler's output folder.
    include_folder = options.folder[options.folder.index("tests/"):]
    names = {path: os.path.basename(path) for path in options.sources}
    if len(set(names.values())) != len(names):
        sys.exit("two sources have one name")
    table = collections.defaultdict(list)
    for number, mutant in enumerate(mutants.MUTANTS, start=1):
        table[mutant.file].append((number, mutant))
    unknown = set(table) - set(names.values())
    if unknown:
        sys.exit("the table names files that are not among the sources: " + ", ".join(sorted(unknown)))
    for path, name in names.items():
        with open(path, encoding="utf-8") as source:
            text = source.read()
        try:
            text = mutate(text, table[name])
        except ValueError as error:
            sys.exit(str(error))
        for other in names:
            text = text.replace('#include "%s"' % other, '#include "%s/%s"' % (include_folder, names[other]))
        text = re.sub(r"^#include", lambda match: _MUTANT_H + match.group(0), text, count=1, flags=re.MULTILINE)
        with open(os.path.join(options.folder, name), "w", encoding="utf-8") as copy:
            copy.write(text)


if __name__ == "__main__":
    main()
