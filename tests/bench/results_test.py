"""From reports to figures, figures to text, and how the time is shared out."""

import unittest

from tests.bench import results, run, terminal

REPORT = {
    "calls": 200, "bytes": 12800, "seconds": 0.5, "client_cpu_ns": 4_000_000, "server_cpu_ns": 2_000_000,
    "latency_us": {"count": 200, "mean": 12.0, "p50": 10.0, "p90": 20.0, "p99": 30.0, "p999": 40.0, "max": 50.0},
}


class SampleTest(unittest.TestCase):

    def test_figures_are_per_second_and_per_call(self):
        sample = results.sample_of(REPORT)
        self.assertEqual(sample["per_s"], 400)
        self.assertEqual(sample["bytes_per_s"], 25600)
        self.assertEqual((sample["client_cpu_us"], sample["server_cpu_us"], sample["cpu_us"]), (20, 10, 30))
        self.assertEqual((sample["p50_us"], sample["p999_us"], sample["max_us"]), (10, 40, 50))

    def test_without_latencies_there_are_none(self):
        report = dict(REPORT, latency_us=dict(REPORT["latency_us"], count=0))
        self.assertNotIn("p50_us", results.sample_of(report))

    def test_no_calls_are_an_error_and_no_division_by_zero(self):
        with self.assertRaisesRegex(ValueError, "not one call"):
            results.sample_of(dict(REPORT, calls=0))

    def test_idle_memory_is_per_connection_and_side(self):
        def usage(heap, resident):
            return {"heap_bytes": heap, "resident_bytes": resident}
        sample = results.idle_sample(10, [usage(100, 1000), usage(600, 3000)], [usage(50, 1000), usage(250, 1000)])
        self.assertEqual(sample, {"client_heap_bytes": 50, "client_resident_bytes": 200,
                                  "server_heap_bytes": 20, "server_resident_bytes": 0})


class FigureTest(unittest.TestCase):

    def test_median_and_spread(self):
        self.assertEqual(results.Figure.of([5, 1, 9]), results.Figure(5, 1, 9))
        self.assertEqual(results.Figure.of([4, 8]), results.Figure(6, 4, 8))

    def test_a_figure_that_some_rounds_lack_is_that_of_the_others(self):
        summary = results.summary_of([{"a": 1}, {"a": 3, "b": 7}])
        self.assertEqual(summary, {"a": results.Figure(2, 1, 3), "b": results.Figure(7, 7, 7)})

    def test_spreads_meet_or_do_not(self):
        low, middle, high = results.Figure(2, 1, 3), results.Figure(3, 3, 5), results.Figure(6, 6, 6)
        self.assertTrue(results.overlap(low, middle))
        self.assertTrue(results.overlap(middle, low))
        self.assertFalse(results.overlap(middle, high))
        self.assertFalse(results.overlap(high, low))

    def test_rows_are_found_again(self):
        found = results.Results([results.Row("s", "t", "p", "x", [{"a": 1}], [0.0]), results.Row("s", "t", "p", "failed")])
        self.assertEqual(found.figure("s", "t", "p", "x", "a").median, 1)
        self.assertIsNone(found.figure("s", "t", "p", "x", "b"))
        self.assertIsNone(found.figure("s", "t", "p", "failed", "a"))
        self.assertIsNone(found.figure("s", "t", "p", "unknown", "a"))


class TextTest(unittest.TestCase):

    def test_numbers(self):
        for value, text in ((0, "0"), (0.1314, "0.131"), (13.42, "13.4"), (9999, "9999"), (12345, "12.3 k"),
                            (999_999, "1000 k"), (1_234_567, "1.23 M"), (2.5e9, "2.5 G"), (185, "185")):
            self.assertEqual(terminal.number(value), text)

    def test_units(self):
        self.assertEqual(terminal.quantity(2.5e9, "B/s"), "2.5 GB/s")
        self.assertEqual(terminal.quantity(4096, "B"), "4096 B")
        self.assertEqual(terminal.quantity(36_000, "calls/s"), "36 k calls/s")

    def test_durations(self):
        self.assertEqual(terminal.duration(89), "89 s")
        self.assertEqual(terminal.duration(300), "5 min")


class PaceTest(unittest.TestCase):

    def setUp(self):
        self.now = 100.0

    def pace(self, runs, **how):
        return run.Pace(runs, clock=lambda: self.now, **how)

    def test_a_fixed_time_is_kept(self):
        pace = self.pace(10, seconds=0.7)
        self.now += 1000
        self.assertEqual(pace.seconds(), 0.7)

    def test_all_runs_end_within_the_limit_whatever_they_take_beside(self):
        for beside in (0.1, 0.3, 0.5):
            self.now = 100.0
            pace = self.pace(200, limit=160)
            for _ in range(200):
                seconds = pace.seconds()
                self.now += 1.2 * seconds + beside
                pace.end(seconds)
            self.assertLessEqual(self.now - 100, 165, beside)

    def test_measurements_have_bounds(self):
        self.assertEqual(self.pace(1, limit=160).seconds(), 0.5)
        self.assertEqual(self.pace(100_000, limit=160).seconds(), 0.05)

    def test_what_is_left_shrinks_to_nothing(self):
        pace = self.pace(2, seconds=1.0)
        self.assertGreater(pace.left(), 2)
        pace.end(1.0)
        pace.end(1.0)
        self.assertEqual(pace.left(), 0)


class OptionsTest(unittest.TestCase):

    def test_rounds_depend_on_quick(self):
        self.assertEqual(run.options_of([]).rounds, 5)
        self.assertEqual(run.options_of(["--quick"]).rounds, 3)
        self.assertEqual(run.options_of(["--quick", "--rounds", "9"]).rounds, 9)


if __name__ == "__main__":
    unittest.main()
