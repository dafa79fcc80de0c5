"""Tests of count_tests.py."""

import os
import tempfile
import unittest

from tools import count_tests

GTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="5" failures="1" disabled="1" errors="0" time="0.01" name="AllTests">
  <testsuite name="Frame" tests="5" failures="1" disabled="1" skipped="1" errors="0" time="0.01">
    <testcase name="Good" status="run" result="completed" time="0" classname="Frame" />
    <testcase name="Better" status="run" result="completed" time="0" classname="Frame" />
    <testcase name="Bad" status="run" result="completed" time="0" classname="Frame">
      <failure message="a" type=""/>
      <failure message="b" type=""/>
    </testcase>
    <testcase name="Elsewhere" status="run" result="skipped" time="0" classname="Frame"><skipped message=""/></testcase>
    <testcase name="DISABLED_Later" status="notrun" result="suppressed" time="0" classname="Frame" />
  </testsuite>
</testsuites>
"""

ALL_PASSED = """<testsuites><testsuite name="T"><testcase name="a" status="run"/><testcase name="b" status="run"/></testsuite></testsuites>"""

# What Bazel writes for a program that left no XML.
CRASHED = """<testsuites><testsuite name="x" tests="1" failures="0" errors="1">
<testcase name="x" status="run" duration="0" time="0"><error message="exited with error code 134"></error></testcase>
<system-out>log</system-out></testsuite></testsuites>"""


class CountTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="with space ")
        self.addCleanup(self.directory.cleanup)
        self.files = 0

    def result(self, label, status, xml=None, attempt=1, shard=1):
        outputs = [{"name": "test.log", "uri": "file:///nowhere/test.log"}]
        if xml is not None:
            self.files += 1
            path = os.path.join(self.directory.name, "%d.xml" % self.files)
            with open(path, "w", encoding="utf-8") as file:
                file.write(xml)
            outputs.append({"name": "test.xml", "uri": "file://" + path.replace(" ", "%20")})
        return {
            "id": {"testResult": {"label": label, "run": 1, "shard": shard, "attempt": attempt}},
            "testResult": {"status": status, "testActionOutput": outputs},
        }

    def completed(self, label, success):
        return {"id": {"targetCompleted": {"label": label}}, "completed": {"success": True} if success else {}}

    def counts(self, events, bazel_status=0):
        total, _ = count_tests.count_events(events, bazel_status)
        return (total.passed, total.failed, total.skipped)

    def test_counts_cases_and_not_targets(self):
        events = [self.completed("//a", True), self.result("//a", "FAILED", GTEST), self.result("//b", "PASSED", ALL_PASSED)]
        self.assertEqual(self.counts(events, 3), (4, 1, 2))

    def test_shards_add_up(self):
        events = [self.result("//a", "PASSED", ALL_PASSED, shard=1), self.result("//a", "PASSED", ALL_PASSED, shard=2)]
        self.assertEqual(self.counts(events), (4, 0, 0))

    def test_last_attempt_counts(self):
        events = [self.result("//a", "FAILED", CRASHED, attempt=1), self.result("//a", "PASSED", ALL_PASSED, attempt=2)]
        self.assertEqual(self.counts(events), (2, 0, 0))

    def test_crash_is_a_failure(self):
        self.assertEqual(self.counts([self.result("//a", "FAILED", CRASHED)], 3), (0, 1, 0))

    def test_timeout_without_xml_is_a_failure(self):
        self.assertEqual(self.counts([self.result("//a", "TIMEOUT")], 3), (0, 1, 0))

    def test_unreadable_xml_of_failed_test_is_a_failure(self):
        self.assertEqual(self.counts([self.result("//a", "FAILED", "<testsuites><testsu")], 3), (0, 1, 0))

    def test_failure_after_the_last_case_is_a_failure(self):
        self.assertEqual(self.counts([self.result("//a", "FAILED", ALL_PASSED)], 3), (2, 1, 0))

    def test_what_was_not_built_is_a_failure(self):
        events = [self.result("//a", "PASSED", ALL_PASSED), self.completed("//b", False), self.completed("//c", False)]
        self.assertEqual(self.counts(events, 1), (2, 2, 0))

    def test_broken_package_is_a_failure(self):
        events = [
            self.result("//a", "PASSED", ALL_PASSED),
            {"id": {"pattern": {"pattern": ["//b/..."]}}, "aborted": {"reason": "LOADING_FAILURE"}},
        ]
        self.assertEqual(self.counts(events, 1), (2, 1, 0))

    def test_unexplained_status_is_a_failure(self):
        self.assertEqual(self.counts([self.result("//a", "PASSED", ALL_PASSED)], 37), (2, 1, 0))

    def test_nothing_ran(self):
        self.assertEqual(self.counts([self.completed("//a", True)], count_tests.NO_TESTS), (0, 0, 0))


if __name__ == "__main__":
    unittest.main()
