"""How figures look in text."""


def number(value, digits=3):
    """With so many digits that count, and thousands as a letter: "13.4", "1.23 M"."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            scale = 1e3 if unit == " k" else limit
            return significant(value / scale, digits) + unit
    return significant(value, digits)


def significant(value, digits=3):
    text = "%.*g" % (digits, value)
    if "e" in text:
        return "%.0f" % value
    return text


def quantity(value, unit):
    """With its unit: "13.4 us", "1.2 GB/s", "36,000 calls/s" is "36 k calls/s"."""
    text = number(value)
    joined = unit.startswith("B") and text[-1].isalpha()
    return ((text if joined else text + " ") + unit).strip()


def spread(figure):
    return "%s (%s - %s)" % (number(figure.median), number(figure.low), number(figure.high))


def duration(seconds):
    if seconds < 90:
        return "%.0f s" % seconds
    return "%.0f min" % (seconds / 60)


IDLE_COLUMNS = (("client_heap_bytes", "heap"), ("client_resident_bytes", "resident"), ("server_heap_bytes", "server's"),
                ("server_resident_bytes", "resident"))

COLUMNS = (("p50_us", "p50"), ("p90_us", "p90"), ("p99_us", "p99"), ("p999_us", "p99.9"), ("max_us", "max"),
           ("client_cpu_us", "client"), ("server_cpu_us", "server"))


def columns(scenario):
    return IDLE_COLUMNS if scenario.load.get("pattern") == "idle" else COLUMNS


def heading(scenario):
    return ("  %-19s %32s" % ("", scenario.metric.title) + "".join("%9s" % title for _, title in columns(scenario))
            + "  others")


def row_text(row, scenario):
    if row.unmeasured():
        return "  %-19s %s" % (row.system, row.unmeasured())
    summary = row.summary()
    text = "  %-19s %32s" % (row.system, spread(summary[scenario.metric.name]))
    for name, _ in columns(scenario):
        text += "%9s" % (number(summary[name].median) if name in summary else "-")
    if row.others:
        text += "%8.2f" % row.others_median()
    return text
