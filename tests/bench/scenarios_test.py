"""The table of scenarios, and how it becomes a plan. Nothing is run."""

import re
import unittest

from tests.bench import scenarios
from tests.bench.transports import Transport

TCP = Transport("tcp", "tcp:127.0.0.1:0", False)
UNIX = Transport("unix", "unix:/tmp/x", False)
INPROC = Transport("inproc", "inproc:x", True)
SHM = Transport("shm", "shm:/tmp/y", False)
UDP = Transport("udp", "udp:127.0.0.1:0", False)
NEW = Transport("new", "new:/tmp/z", False)
ALL = [INPROC, SHM, UNIX, TCP]


def names(groups):
    return {scenarios.row_name(group.scenario, group.transport, group.placement, system)
            for group in groups for system in group.systems}


class TableTest(unittest.TestCase):

    def test_names_are_unique(self):
        for table in (scenarios.SCENARIOS, scenarios.SYSTEMS):
            self.assertEqual(len({entry.name for entry in table}), len(table))

    def test_what_the_table_refers_to_exists(self):
        for scenario in scenarios.SCENARIOS:
            self.assertTrue(set(scenario.without) <= set(scenarios.SYSTEMS), scenario.name)
            self.assertTrue(set(scenario.quick) <= {"tcp", "unix", "shm", "inproc"}, scenario.name)
            self.assertNotIn(scenarios.ANYWIRE, scenario.without)

    def test_a_wrong_placement_is_refused(self):
        with self.assertRaisesRegex(ValueError, "on the moon"):
            scenarios.Scenario("x", "x", scenarios.P50, {}, placements=("on the moon",))

    def test_open_scenarios_are_parts_of_the_capacity(self):
        parts = [scenario.of_capacity for scenario in scenarios.SCENARIOS if scenario.of_capacity]
        self.assertEqual(parts, [0.3, 0.5, 0.7, 0.9])


class PlanTest(unittest.TestCase):

    def test_a_new_transport_is_measured_in_every_scenario_without_being_named_anywhere(self):
        groups = scenarios.plan([NEW], 2)
        self.assertEqual({group.scenario.name for group in groups},
                         {scenario.name for scenario in scenarios.SCENARIOS if scenario.schemes is None})
        self.assertEqual({system.program for group in groups for system in group.systems}, {"bench_anywire"})

    def test_every_way_between_processes_has_a_floor_that_spins_and_one_that_blocks(self):
        for transport in (TCP, UNIX, SHM):
            for scenario in ("unary-64B", "in-flight-64", "stream-up-1MiB", "stream-both-64B"):
                found = names(scenarios.plan([transport], 2))
                for system in scenarios.FLOORS:
                    self.assertIn("/".join((scenario, transport.scheme, scenarios.TWO_CORES, system.name)), found)

    def test_a_scenario_that_is_about_some_transports_runs_over_those(self):
        lossy = [group for group in scenarios.plan(ALL + [UDP], 2) if group.scenario.path]
        self.assertEqual({group.transport.scheme for group in lossy}, {"tcp", "udp"})

    def test_inside_a_process_there_is_no_core_for_each_side(self):
        for group in scenarios.plan([INPROC], 2):
            self.assertNotEqual(group.placement, scenarios.TWO_CORES)
        self.assertIn("unary-64B/inproc/unpinned/anywire, adaptive", names(scenarios.plan([INPROC], 2)))

    def test_with_one_core_everything_shares_it_and_nobody_spins(self):
        groups = scenarios.plan(ALL, 1)
        self.assertEqual({group.placement for group in groups}, {scenarios.ONE_CORE})
        self.assertNotIn(scenarios.RAW_SPINNING, {system for group in groups for system in group.systems})

    def test_only_selects_by_any_part_of_the_name(self):
        groups = scenarios.plan(ALL, 2, only=re.compile("^unary-64B/tcp/one core/gRPC"))
        self.assertEqual(names(groups), {"unary-64B/tcp/one core/gRPC, sync", "unary-64B/tcp/one core/gRPC, callback"})
        self.assertEqual(scenarios.plan(ALL, 2, only=re.compile("no such thing")), [])

    def test_only_is_not_limited_by_quick(self):
        self.assertTrue(scenarios.plan(ALL, 2, quick=True, only=re.compile("unary-0B/unix/unpinned")))

    def test_quick_is_a_small_part_and_has_every_kind_of_peer(self):
        quick, full = scenarios.plan(ALL, 2, quick=True), scenarios.plan(ALL, 2)
        self.assertLess(names(quick), names(full))
        self.assertLess(len(names(quick)), 160)
        self.assertEqual({system.name for group in quick for system in group.systems},
                         {system.name for system in scenarios.SYSTEMS})

    def test_those_that_are_compared_are_in_one_group(self):
        group = next(group for group in scenarios.plan(ALL, 2) if (
            group.scenario.name, group.transport, group.placement) == ("unary-64B", TCP, scenarios.TWO_CORES))
        self.assertEqual(group.systems, scenarios.SYSTEMS)

    def test_cores_of_placements(self):
        self.assertEqual(scenarios.cores_of(scenarios.TWO_CORES, [4, 7]), ((7,), (4,)))
        self.assertEqual(scenarios.cores_of(scenarios.ONE_CORE, [4, 7]), ((4,), (4,)))
        self.assertEqual(scenarios.cores_of(scenarios.UNPINNED, [4, 7]), (None, None))


if __name__ == "__main__":
    unittest.main()
