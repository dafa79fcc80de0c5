"""How figures look in text."""


def number(value, digits=3):
    """With so many digits that count, and a unit of thousands: 13.4, 1,230,000 is 1.23 M."""
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


def spread(figure):
    return "%s (%s - %s)" % (number(figure.median), number(figure.low), number(figure.high))


def duration(seconds):
    if seconds < 90:
        return "%.0f s" % seconds
    return "%.0f min" % (seconds / 60)


COLUMNS = (("p50_us", "p50"), ("p90_us", "p90"), ("p99_us", "p99"), ("p999_us", "p99.9"), ("max_us", "max"),
           ("client_cpu_us", "client"), ("server_cpu_us", "server"))


def heading(metric):
    return "  %-19s %32s" % ("", metric.title) + "".join("%9s" % title for _, title in COLUMNS) + "  others"


def row_text(row, metric):
    if row.error:
        return "  %-19s %s" % (row.system, row.error)
    summary = row.summary()
    text = "  %-19s %32s" % (row.system, spread(summary[metric.name]))
    for name, _ in COLUMNS:
        text += "%9s" % (number(summary[name].median) if name in summary else "-")
    if row.others:
        text += "%8.2f" % sorted(row.others)[len(row.others) // 2]
    return text
