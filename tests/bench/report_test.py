"""Targets, the comparison with gRPC, charts and the page that has them."""

import html.parser
import unittest

from tests.bench import charts, report, results, scenarios, targets
from tests.bench.results import Figure, Results, Row


def row(scenario, system, transport="tcp", placement=scenarios.TWO_CORES, **names):
    """A row of three rounds, whose figures are given by name: a value for each round, or one for all."""
    samples = [{name: value[turn] if isinstance(value, tuple) else value for name, value in names.items()}
               for turn in range(3)]
    return Row(scenario, transport, placement, system.name, samples, [0.0] * 3)


def some_results():
    rows = []
    for system, p50 in ((scenarios.RAW_SPINNING, 13.0), (scenarios.RAW_BLOCKING, 60.0), (scenarios.ANYWIRE, 15.5),
                        (scenarios.ANYWIRE_SLEEPING, 67.0), (scenarios.GRPC_SYNC, 180.0), (scenarios.GRPC_CALLBACK, 190.0)):
        rows.append(row("unary-64B", system, p50_us=(p50, p50 * 0.9, p50 * 1.1), p99_us=p50 * 3, per_s=1e6 / p50,
                        client_cpu_us=1.0, server_cpu_us=2.0))
    return Results(rows)


def verdicts(found, title):
    return [verdict for verdict in targets.verdicts(found) if verdict.title == title]


class TargetsTest(unittest.TestCase):

    def test_goals_are_made_of_the_same_run(self):
        beside_raw, beside_grpc = verdicts(some_results(), "one 64 B call at a time, tcp, p50")
        self.assertEqual((beside_raw.goal, beside_raw.measured, beside_raw.met), ("raw spinning + 3 us: 16 us", "15.5 us", True))
        self.assertEqual((beside_grpc.goal, beside_grpc.met), ("1/8 of gRPC: 22.5 us", True))
        (sleeping,) = verdicts(some_results(), "one 64 B call at a time, tcp, nobody polls, p50")
        self.assertFalse(sleeping.met)  # 66 would be met

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        for verdict in targets.verdicts(Results()):
            self.assertIsNone(verdict.met)
            self.assertEqual(verdict.measured, "not measured")

    def test_shared_memory_is_held_to_its_own_floor(self):
        found = Results([
            row("unary-64B", scenarios.RAW_BLOCKING, "shm", p50_us=10.0),
            row("unary-64B", scenarios.ANYWIRE, "shm", p50_us=1.1),
            row("unary-64B", scenarios.ANYWIRE_SLEEPING, "shm", p50_us=12.9),
            row("unary-1MiB", scenarios.RAW_SPINNING, "shm", p50_us=100.0),
            row("unary-1MiB", scenarios.RAW_BLOCKING, "shm", p50_us=200.0),
            row("unary-1MiB", scenarios.ANYWIRE, "shm", p50_us=151.0),
            row("in-flight-64", scenarios.ANYWIRE, "shm", per_s=3.0e6),
            row("stream-up-1MiB", scenarios.RAW_BLOCKING, "shm", bytes_per_s=10e9),
            row("stream-up-1MiB", scenarios.ANYWIRE_SLEEPING, "shm", bytes_per_s=8.9e9),
            row("connect", scenarios.ANYWIRE, "shm", p50_us=299.0),
            row("unary-64B", scenarios.ANYWIRE, "shm", scenarios.ONE_CORE, p50_us=5.0),
            row("unary-64B", scenarios.ANYWIRE, "unix", scenarios.ONE_CORE, p50_us=4.9),
            row("crowded-64B", scenarios.ANYWIRE, "shm", scenarios.UNPINNED, p50_us=5.0),
            row("crowded-64B", scenarios.ANYWIRE, "unix", scenarios.UNPINNED, p50_us=5.1),
        ])
        outcomes = [(verdict.title, verdict.goal, verdict.met) for verdict in targets.verdicts(found)
                    if "shm" in verdict.title]
        self.assertEqual(outcomes, [
            ("one 64 B call at a time, shm, p50", "1 us", False),
            ("one 64 B call at a time, shm, nobody polls, p50", "raw blocking + 3 us: 13 us", True),
            ("one 1 MiB call at a time, shm, p50", "raw x 1.5: 150 us", False),
            ("one 64 B call at a time, shm, both on one core, p50", "our Unix transport: 4.9 us", False),
            ("one 64 B call at a time, shm, while another process computes, p50", "our Unix transport: 5.1 us", True),
            ("64 B, 64 in flight, shm, callbacks", "3 M calls/s", True),
            ("1 MiB messages one way, shm", "90 % of raw: 9 GB/s", False),
            ("connection and first call, shm, p50", "300 us", True),
        ])

    def test_counts(self):
        counts = {"tcp": {form: {"instructions": 3100.0, "allocations": 0.02, "client_calls": 2.05, "server_calls": 3.0}
                          for form in ("blocking", "callback", "coroutine", "in-flight")}}
        by_title = {verdict.title: verdict.met for verdict in targets.verdicts(Results(), counts)}
        self.assertFalse(by_title["user instructions a blocking call, both sides, sockets"])
        self.assertTrue(by_title["heap allocations a blocking call beyond protobuf's"])
        self.assertTrue(by_title["system calls of a blocking call, client, sockets"])
        self.assertFalse(by_title["system calls of a blocking call, server, sockets"])

    def test_every_target_is_of_a_scenario_that_exists(self):
        """A row in every scenario, over every transport and in every placement, leaves nothing unmeasured but the counts."""
        names = ("p50_us", "p99_us", "p999_us", "per_s", "bytes_per_s", "cpu_us", "client_heap_bytes", "server_heap_bytes")
        rows = [row(scenario.name, system, transport, placement, **dict.fromkeys(names, 1.0))
                for scenario in scenarios.SCENARIOS for system in scenarios.SYSTEMS
                for transport in ("tcp", "udp", "unix", "shm", "inproc") for placement in scenarios.PLACEMENTS]
        unmeasured = [verdict.title for verdict in targets.verdicts(Results(rows)) if verdict.met is None]
        self.assertTrue(all(title.startswith(("user instructions", "heap allocations", "system calls")) for title in unmeasured),
                        unmeasured)


class BesideGrpcTest(unittest.TestCase):

    def compare(self, ours, theirs, scenario="unary-64B", name="p50_us"):
        found = Results([row(scenario, scenarios.ANYWIRE, **{name: ours}), row(scenario, scenarios.GRPC_SYNC, **{name: theirs}),
                         row(scenario, scenarios.GRPC_CALLBACK, **{name: tuple(value * 3 for value in theirs)})])
        (comparison,) = targets.beside_grpc(found)
        return comparison

    def test_lower_is_better_for_latencies(self):
        self.assertEqual(self.compare((10, 9, 11), (100, 90, 110)).outcome, targets.BETTER)
        self.assertAlmostEqual(self.compare((10, 9, 11), (100, 90, 110)).ratio, 10)
        self.assertEqual(self.compare((100, 90, 110), (10, 9, 11)).outcome, targets.WORSE)

    def test_higher_is_better_for_rates_and_the_better_api_counts(self):
        comparison = self.compare((100, 90, 110), (40, 39, 41), "in-flight-64", "per_s")
        self.assertEqual(comparison.outcome, targets.WORSE)  # than the callback API's 120
        self.assertAlmostEqual(comparison.ratio, 100 / 120)

    def test_spreads_that_meet_are_even(self):
        self.assertEqual(self.compare((10, 9, 12), (13, 12, 14)).outcome, targets.EVEN)

    def test_time_and_memory_are_claimed_apart(self):
        slower = self.compare((100, 90, 110), (10, 9, 11))
        larger = self.compare((8000, 8000, 8000), (5000, 5000, 5000), "idle", "client_heap_bytes")
        faster = self.compare((10, 9, 11), (100, 90, 110))
        self.assertEqual(list(targets.claims([slower, larger, faster])),
                         [("never slower than gRPC", 2, [slower]), ("never more memory than gRPC", 1, [larger])])
        self.assertEqual(list(targets.claims([faster])), [("never slower than gRPC", 1, [])])

    def test_parts_of_different_capacities_are_not_compared(self):
        found = Results([row("open-50", system, p99_us=1.0) for system in scenarios.SYSTEMS])
        self.assertEqual(targets.beside_grpc(found), [])

    def test_timeouts_of_the_same_tcp_are_not_compared(self):
        found = Results([row("lossy-5%", system, p99_us=1.0) for system in scenarios.SYSTEMS])
        self.assertEqual(targets.beside_grpc(found), [])


class Balance(html.parser.HTMLParser):
    """Notes tags that are not closed, and everything that the page would fetch."""

    VOID = {"meta", "br", "rect", "path", "circle"}

    def __init__(self):
        super().__init__()
        self.open = []
        self.wrong = []
        self.fetched = []

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if name in ("src", "href", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if name in ("src", "href", "data")]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


class PageTest(unittest.TestCase):

    def check(self, text):
        balance = Balance()
        balance.feed(text)
        self.assertEqual((balance.open, balance.wrong, balance.fetched), ([], [], []))

    def test_it_is_well_formed_and_needs_nothing_else(self):
        text = report.page({"cores": 2}, {"rounds": 3}, some_results())
        self.check(text)
        self.assertNotIn("<script", text)
        self.assertIn("raw spinning + 3 us", text)
        self.assertIn("never slower than gRPC", text)

    def test_it_takes_no_results(self):
        self.check(report.page({}, {}, Results()))

    def test_what_failed_is_said_and_what_it_said_is_no_markup(self):
        failed = Row("unary-64B", "tcp", scenarios.TWO_CORES, scenarios.ANYWIRE.name, error="<b>no & way</b>")
        text = report.page({}, {}, Results([failed]))
        self.check(text)
        self.assertIn("&lt;b&gt;no &amp; way", text)

    def test_what_was_skipped_is_said(self):
        skipped = Row("lossy-5%", "tcp", scenarios.UNPINNED, scenarios.ANYWIRE.name, skipped="there is no tun")
        self.assertIn("skipped: there is no tun", report.page({}, {}, Results([skipped])))

    def test_latency_against_load_has_a_line_for_each_system_and_quantile(self):
        rows = [row("open-%d" % part, system, per_s=part * 100.0, p50_us=10.0 + part, p99_us=100.0 + part)
                for part in (30, 50, 70, 90) for system in (scenarios.ANYWIRE, scenarios.GRPC_SYNC)]
        text = report.page({}, {}, Results(rows))
        self.check(text)
        self.assertEqual(text.count('stroke-width="2"'), 4)


class ChartsTest(unittest.TestCase):

    def test_bars_are_as_long_as_their_values(self):
        text = charts.bars([("raw, spinning", Figure(10, 10, 10)), ("anywire, adaptive", Figure(20, 20, 20))], "x")
        widths = [float(part.split('"')[0]) for part in text.split('width="')[2:] if part.split('"')[0] not in ("1.2",)]
        self.assertAlmostEqual(widths[1] / widths[0], 2, places=2)

    def test_nothing_measured_as_zero_breaks_it(self):
        self.assertIn("<svg", charts.bars([("raw, spinning", Figure(0, 0, 0))], "x"))

    def test_one_point_is_a_chart(self):
        self.assertIn("<circle", charts.curves([("anywire, adaptive", False, [(1000.0, 50.0)])], "x", "y", "z"))


if __name__ == "__main__":
    unittest.main()
