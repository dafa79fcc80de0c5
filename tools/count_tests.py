"""Counts the test cases of one `bazel test`: count_tests.py EVENTS STATUS.

EVENTS is the file that Bazel wrote for --build_event_json_file, STATUS is Bazel's exit status. The last line printed is
"N passed, N failed"; the exit status is 0 when at least one case passed and none failed.

Cases come from the test.xml files that the events name. A test that crashed, hung or was not built has no case to show for it and
counts as one failure, as does anything else that was not built.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

# Bazel's exit status when the build succeeded and there was no test to run.
NO_TESTS = 4


class Count:
    """The cases of a test or of many."""

    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed = passed
        self.failed = failed
        self.skipped = skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def count_cases(path):
    """Counts the cases in one test.xml; None if it cannot be read."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    count = Count()
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            count.failed += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun" or case.get("result") == "suppressed":
            count.skipped += 1
        else:
            count.passed += 1
    return count


def count_run(result):
    """Counts the cases of one run of one test, from its testResult event."""
    passed = result.get("status") in ("PASSED", "FLAKY")
    count = None
    for output in result.get("testActionOutput", []):
        if output.get("name") == "test.xml":
            count = count_cases(urllib.parse.unquote(urllib.parse.urlparse(output.get("uri", "")).path))
    if count is None:
        count = Count(passed=1 if passed else 0)
    if not passed and count.failed == 0:
        # It failed outside its cases: a leak found at exit, a time-out, a crash.
        count.failed = 1
    return count


def count_events(events, bazel_status):
    """Counts the cases of a whole invocation.

    Args:
      events: the build events, parsed.
      bazel_status: Bazel's exit status.

    Returns:
      the Count and a list of lines that say what failed.
    """
    runs = {}
    not_built = set()
    for event in events:
        identity = event.get("id", {})
        if "testResult" in identity:
            key = identity["testResult"]
            # Of several attempts the last one counts.
            runs[(key.get("label"), key.get("run"), key.get("shard"))] = event.get("testResult", {})
        elif "targetCompleted" in identity:
            if not event.get("completed", {}).get("success", False):
                not_built.add(identity["targetCompleted"].get("label"))
        elif "aborted" in event:
            for kind in ("pattern", "targetConfigured", "configuredLabel", "unconfiguredLabel"):
                if kind in identity:
                    label = identity[kind].get("label") or " ".join(identity[kind].get("pattern", []))
                    not_built.add(label)

    total = Count()
    failures = []
    for (label, _, _), result in sorted(runs.items(), key=lambda item: str(item[0])):
        count = count_run(result)
        total.add(count)
        if count.failed:
            failures.append("%s: %s, %d failed" % (label, result.get("status", "FAILED").lower(), count.failed))
    tested = {label for (label, _, _) in runs}
    for label in sorted(not_built - tested, key=str):
        total.failed += 1
        failures.append("%s: not built" % label)
    if bazel_status not in (0, NO_TESTS) and total.failed == 0:
        total.failed = 1
        failures.append("bazel ended with status %d" % bazel_status)
    return total, failures


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        events = [json.loads(line) for line in file if line.strip()]
    total, failures = count_events(events, int(sys.argv[2]))
    for line in failures:
        print(line)
    if total.skipped:
        print("%d skipped" % total.skipped)
    if total.passed + total.failed == 0:
        print("no test ran")
    print("%d passed, %d failed" % (total.passed, total.failed))
    return 0 if total.passed > 0 and total.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
