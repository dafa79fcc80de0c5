"""The report: one HTML file that needs nothing beside itself."""

import html

from tests.bench import charts, scenarios, targets, terminal

_STYLE = """
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #111827; margin: 0 auto; max-width: 1200px; padding: 24px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 40px 0 8px; } h3 { font-size: 15px; margin: 0 0 6px; }
p, li { max-width: 90ch; } .quiet { color: #6b7280; font-size: 13px; margin: 2px 0 10px; }
table { border-collapse: collapse; font-size: 13px; } th { text-align: left; font-weight: 600; color: #4b5563; }
td, th { padding: 3px 10px 3px 0; border-bottom: 1px solid #eceef1; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tag { display: inline-block; min-width: 58px; padding: 0 8px; border-radius: 9px; text-align: center; font-size: 12px; }
.good { background: #dcfce7; color: #166534; } .bad { background: #fee2e2; color: #991b1b; } .none { background: #f3f4f6; color: #4b5563; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(560px, 1fr)); gap: 16px 24px; }
.card { border: 1px solid #e5e7eb; border-radius: 8px; padding: 12px 14px; overflow-x: auto; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #374151; } svg text.value { fill: #111827; font-weight: 600; }
details { margin: 8px 0; } summary { cursor: pointer; color: #1d4ed8; font-size: 13px; } .legend span { margin-right: 16px; font-size: 13px; white-space: nowrap; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 2px; margin-right: 5px; vertical-align: -1px; }
"""

_METHOD = (
    "Client and server are separate processes, except over transports that stay inside one. All systems make the same calls with "
    "the same load program, and take turns round by round. Bars and figures are medians over the rounds; the thin line, and the "
    "figures in brackets, are the lowest and the highest round. The dotted line is the hand-written floor.",
    "Waiting: <b>adaptive</b> is anywire's default, which polls before it sleeps where that has been worth it; <b>sleeping</b> is "
    "anywire with <code>max_spin: \"0s\"</code>. Polling is charged: the processor time of both sides stands beside every figure.",
    "<b>Others</b> are the processor cores that other programs kept busy meanwhile. Where that is not near 0, trust ratios within one "
    "table only, and those little.",
)


def _tag(text, kind):
    return '<span class="tag %s">%s</span>' % (kind, html.escape(text))


def _table(head, rows, numbers):
    """`rows` are of HTML; columns from `numbers` on are numbers."""
    def cells(tag, row):
        return "".join("<%s%s>%s</%s>" % (tag, ' class="number"' if index >= numbers else "", cell, tag)
                       for index, cell in enumerate(row))
    return "<table><tr>%s</tr>%s</table>" % (cells("th", head), "".join("<tr>%s</tr>" % cells("td", row) for row in rows))


def _targets(verdicts):
    rows = []
    for verdict in verdicts:
        kind, word = {True: ("good", "met"), False: ("bad", "missed"), None: ("none", "-")}[verdict.met]
        rows.append((_tag(word, kind), html.escape(verdict.title), html.escape(verdict.goal), html.escape(verdict.measured)))
    met = sum(1 for verdict in verdicts if verdict.met)
    known = sum(1 for verdict in verdicts if verdict.met is not None)
    return "<h2>Targets: %d of %d met</h2>%s" % (met, known, _table(("", "", "goal", "measured"), rows, 4))


def _beside_grpc(comparisons):
    if not comparisons:
        return ""
    columns = list(dict.fromkeys((one.transport, one.placement) for one in comparisons))
    by_place = {(one.scenario, one.transport, one.placement): one for one in comparisons}
    rows = []
    for name in dict.fromkeys(one.scenario for one in comparisons):
        row = [html.escape(name)]
        for column in columns:
            one = by_place.get((name,) + column)
            if one is None:
                row.append("")
            elif one.outcome == targets.EVEN:
                row.append(_tag("even", "none"))
            else:
                row.append(_tag("x %s" % terminal.significant(one.ratio, 2), "bad" if one.outcome == targets.WORSE else "good"))
        rows.append(row)
    head = [""] + ["%s,<br>%s" % (html.escape(transport), html.escape(placement)) for transport, placement in columns]
    claims = "".join(
        "<p>%s %s: %d of %d configurations are worse.</p>" %
        (_tag("missed", "bad") if worse else _tag("met", "good"), text, len(worse), count)
        for text, count, worse in targets.claims(comparisons))
    return ("<h2>Beside gRPC</h2>%s<p class=\"quiet\">How many times better anywire is by default than the better one of "
            "gRPC's APIs, in each scenario's own figure. Even: the spreads meet.</p>%s" %
            (claims, _table(head, rows, len(columns) + 1)))


def _legend(systems):
    return '<p class="legend">%s</p>' % "".join(
        '<span><i style="background:%s"></i>%s</span>' % (charts.colour(system), html.escape(system)) for system in systems)


def _load_curves(results):
    """p50 and p99 over the load, a chart for each transport."""
    steps = [scenario for scenario in scenarios.SCENARIOS if scenario.of_capacity]
    parts = []
    places = dict.fromkeys((row.transport, row.placement) for row in results.rows()
                           if row.scenario in {step.name for step in steps} and row.samples)
    for transport, placement in places:
        lines, systems = [], []
        for system in scenarios.SYSTEMS:
            for name, dashed in (("p50_us", False), ("p99_us", True)):
                line = []
                for step in steps:
                    load = results.figure(step.name, transport, placement, system.name, "per_s")
                    latency = results.figure(step.name, transport, placement, system.name, name)
                    if load and latency and latency.median > 0:
                        line.append((load.median, latency.median))
                if line:
                    lines.append((system.name, dashed, line))
                    systems.append(system.name)
        if lines:
            title = "%s, %s" % (transport, placement)
            parts.append('<div class="card"><h3>%s</h3>%s%s</div>' % (
                html.escape(title), charts.curves(lines, "calls/s", "latency, us", "latency against load, " + title),
                _legend(dict.fromkeys(systems))))
    if not parts:
        return ""
    return ('<h2>Latency against load</h2><p class="quiet">Calls are due at random times, at 30, 50, 70 and 90 % of what each system '
            'can take when calls are started as fast as may be. Latency counts from the time at which a call was due. Solid: p50; '
            'dashed: p99. Both axes are logarithmic.</p>' + '<div class="cards">%s</div>' % "".join(parts))


def _group_table(rows, scenario):
    columns = terminal.columns(scenario)
    body = []
    for row in rows:
        if row.unmeasured():
            body.append([html.escape(row.system), html.escape(row.unmeasured())])
            continue
        summary = row.summary()
        body.append([html.escape(row.system), html.escape(terminal.spread(summary[scenario.metric.name]))] +
                    [terminal.number(summary[name].median) if name in summary else "" for name, _ in columns] +
                    ["%.2f" % row.others_median()])
    return _table(["", html.escape(scenario.metric.title)] + [html.escape(title) for _, title in columns] + ["others"], body, 1)


def _scenario(scenario, results):
    groups = {}
    for row in results.rows():
        if row.scenario == scenario.name:
            groups.setdefault((row.transport, row.placement), []).append(row)
    if not groups:
        return ""
    cards = []
    for (transport, placement), rows in groups.items():
        title = "%s, %s" % (transport, placement)
        bars = [(row.system, row.summary()[scenario.metric.name]) for row in rows if row.samples and not row.error]
        chart = charts.bars(bars, "%s, %s" % (scenario.title, title)) if bars else ""
        cards.append('<div class="card"><h3>%s</h3>%s<details%s><summary>all figures</summary>%s</details></div>' % (
            html.escape(title), chart, "" if bars else " open", _group_table(rows, scenario)))
    better = "shorter is better" if scenario.metric.lower_is_better else "longer is better"
    return '<h2>%s</h2><p class="quiet">%s; %s. %s</p><div class="cards">%s</div>' % (
        html.escape(scenario.title), html.escape(scenario.metric.title), better, html.escape(scenario.note), "".join(cards))


def page(about, settings, results, counts=None):
    """The whole file. `about` and `settings` are dictionaries of what to say of the machine and of the run."""
    facts = "; ".join("%s: %s" % (html.escape(key.replace("_", " ")), html.escape(str(value)))
                      for key, value in {**about, **settings}.items())
    return "\n".join([
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>anywire beside others</title>',
        "<style>%s</style>" % _STYLE,
        "<h1>anywire beside gRPC, Cap'n Proto and hand-written code</h1>",
        '<p class="quiet">%s</p>' % facts,
        "".join("<p>%s</p>" % paragraph for paragraph in _METHOD),
        _targets(targets.verdicts(results, counts)),
        _beside_grpc(targets.beside_grpc(results)),
        _load_curves(results),
        "".join(_scenario(scenario, results) for scenario in scenarios.SCENARIOS),
        "</html>\n",
    ])
