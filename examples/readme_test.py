"""The code in the README is code that is built: every block is compared with the file that the comment before it names."""

import os
import re
import unittest

ROOT = os.path.join(os.environ["TEST_SRCDIR"], "anywire")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class ReadmeTest(unittest.TestCase):

    def test_code_is_that_of_the_examples(self):
        text = read("README.md")
        marked = re.findall(r"<!-- (\S+) -->\n```(\w+)\n(.*?)\n```", text, re.S)
        shown = [path for path, _, _ in marked]
        self.assertIn("examples/greeter/server.cc", shown)
        self.assertIn("examples/greeter/client.cc", shown)
        self.assertIn("examples/greeter/greeter.textproto", shown)
        for path, _, code in marked:
            if path.endswith("BUILD.bazel"):  # ours has our own names for what is a user's cc_binary and @anywire
                code = code.replace("@anywire//", "//").replace("cc_binary(", "aw_cc_binary(")
            for part in code.split("\n...\n"):
                self.assertIn(part.strip("\n"), read(path), path)

    def test_no_code_is_without_a_file(self):
        text = read("README.md")
        for marker, language in re.findall(r"(.*)\n```(\w+)\n", text):
            if language not in ("sh", "text"):
                self.assertRegex(marker, r"^<!-- \S+ -->$", language)


if __name__ == "__main__":
    unittest.main()
