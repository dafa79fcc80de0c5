"""From what the programs report to figures: samples, and their medians with the spread over the rounds."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Figure:
    """A value over the rounds."""
    median: float
    low: float
    high: float

    @staticmethod
    def of(values):
        return Figure(statistics.median(values), min(values), max(values))


def sample_of(report):
    """One round's figures, by name, of what a client program printed. Processor time is per call, in microseconds."""
    calls = report["calls"]
    if calls == 0:
        raise ValueError("not one call ended in the measured time")
    sample = {
        "per_s": calls / report["seconds"],
        "client_cpu_us": report["client_cpu_ns"] / 1e3 / calls,
        "server_cpu_us": report["server_cpu_ns"] / 1e3 / calls,
        "bytes_per_s": report["bytes"] / report["seconds"],
    }
    sample["cpu_us"] = sample["client_cpu_us"] + sample["server_cpu_us"]
    latency = report["latency_us"]
    if latency["count"] > 0:
        sample.update({name + "_us": latency[name] for name in ("p50", "p90", "p99", "p999", "max", "mean")})
    for extra in ("bulk_bytes_per_s", "rate", "sent_late_p50_us"):
        if extra in report:
            sample[extra] = report[extra]
    return sample


def idle_sample(connections, client, server):
    """Memory of each side per idle connection: `client` and `server` are usages before and after."""
    sample = {}
    for side, (before, after) in (("client", client), ("server", server)):
        for kind in ("heap", "resident"):
            key = kind + "_bytes"
            sample["%s_%s" % (side, key)] = (after[key] - before[key]) / connections
    return sample


def summary_of(samples):
    """Each figure over the rounds."""
    names = dict.fromkeys(name for sample in samples for name in sample)
    return {name: Figure.of([sample[name] for sample in samples if name in sample]) for name in names}


@dataclasses.dataclass
class Row:
    """All that is known of one system in one scenario over one transport in one placement."""
    scenario: str
    transport: str
    placement: str
    system: str
    samples: list = dataclasses.field(default_factory=list)
    # Processor cores that other programs kept busy, for each sample: what disturbed it.
    others: list = dataclasses.field(default_factory=list)
    error: str = ""
    failed_command: str = ""  # with all that it said
    skipped: str = ""  # why this machine cannot measure it

    def unmeasured(self):
        """Why there are no figures; "" where there are."""
        if self.skipped:
            return "skipped: " + self.skipped
        return "failed: " + self.error if self.error else ""

    def summary(self):
        return summary_of(self.samples)

    def others_median(self):
        return statistics.median(self.others)

    def key(self):
        return self.scenario, self.transport, self.placement, self.system


class Results:
    """Rows by what they are of."""

    def __init__(self, rows=()):
        self._rows = {row.key(): row for row in rows}

    def add(self, row):
        self._rows[row.key()] = row

    def rows(self):
        return list(self._rows.values())

    def others(self):
        """Cores that other programs kept busy in the median sample; None without samples."""
        samples = [value for row in self.rows() for value in row.others]
        return statistics.median(samples) if samples else None

    def figure(self, scenario, transport, placement, system, name):
        """None when it was not measured."""
        row = self._rows.get((scenario, transport, placement, system))
        return row.summary().get(name) if row and row.samples else None


def overlap(one, other):
    """Whether the spreads of two figures meet: then neither is better than the other."""
    return one.low <= other.high and other.low <= one.high
