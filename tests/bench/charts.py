"""Charts as SVG text. They need no script and no font of their own."""

import html
import math

from tests.bench import terminal

# One colour for each system wherever it appears; relatives have shades of one.
COLOURS = {
    "raw, spinning": "#6b7280",
    "raw, blocking": "#a3aab5",
    "anywire, adaptive": "#1d4ed8",
    "anywire, sleeping": "#7aa2f7",
    "gRPC, sync": "#c2410c",
    "gRPC, callback": "#f59e5b",
    "Cap'n Proto": "#15803d",
}
OTHER = "#7c3aed"


def colour(system):
    return COLOURS.get(system, OTHER)


def _text(x, y, text, anchor="start", extra=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>' % (x, y, anchor, extra, html.escape(text))


def _svg(width, height, parts, label):
    return ('<svg viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">%s</svg>' %
            (width, height, width, height, html.escape(label), "".join(parts)))


def bars(rows, label, width=560):
    """Horizontal bars: rows of (system, Figure). A line across the bars is the spread, a dotted one the best floor."""
    name_width, value_width, height = 128, 76, 22
    most = max(figure.high for _, figure in rows) or 1
    scale = (width - name_width - value_width) / most
    parts = []
    for index, (system, figure) in enumerate(rows):
        top = 4 + index * height
        middle = top + height / 2 - 2
        parts.append(_text(name_width - 8, middle + 4, system, "end"))
        parts.append('<rect x="%d" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"/>' %
                     (name_width, top, max(1, figure.median * scale), height - 6, colour(system)))
        if figure.high > figure.low:
            parts.append('<path d="M%.1f %.1fH%.1f" stroke="#111827" stroke-width="1.2" opacity="0.55"/>' %
                         (name_width + figure.low * scale, middle, name_width + figure.high * scale))
        parts.append(_text(name_width + figure.high * scale + 6, middle + 4, terminal.number(figure.median),
                           extra=' class="value"'))
    bottom = 4 + len(rows) * height
    floors = [figure.median for system, figure in rows if system.startswith("raw")]
    if floors:
        # The first one is the best that waits as the default does.
        x = name_width + floors[0] * scale
        parts.append('<path d="M%.1f 0V%d" stroke="#6b7280" stroke-dasharray="2 3"/>' % (x, bottom))
    return _svg(width, bottom + 2, parts, label)


def _ticks(low, high):
    """Powers of ten from `low` to `high`, and 2 and 5 between where that leaves few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 3 else (1,)
    return [factor * 10.0 ** power for power in powers for factor in factors if low <= factor * 10.0 ** power <= high]


def _round_out(values):
    """A range for a logarithmic axis with some air."""
    return min(values) / 1.3, max(values) * 1.3


def curves(lines, x_title, y_title, label, width=760, height=380):
    """Lines over logarithmic axes: lines of (system, dashed, [(x, y), ...])."""
    left, right, top, bottom = 64, 16, 12, 44
    points = [point for _, _, line in lines for point in line]
    x_low, x_high = _round_out([x for x, _ in points])
    y_low, y_high = _round_out([y for _, y in points])

    def place(x, y):
        return (left + math.log(x / x_low) / math.log(x_high / x_low) * (width - left - right),
                height - bottom - math.log(y / y_low) / math.log(y_high / y_low) * (height - top - bottom))

    parts = ['<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#d1d5db"/>' %
             (left, top, width - left - right, height - top - bottom)]
    for tick in _ticks(x_low, x_high):
        x, _ = place(tick, y_low)
        parts.append('<path d="M%.1f %dV%d" stroke="#eceef1"/>' % (x, top, height - bottom))
        parts.append(_text(x, height - bottom + 16, terminal.number(tick), "middle"))
    for tick in _ticks(y_low, y_high):
        _, y = place(x_low, tick)
        parts.append('<path d="M%d %.1fH%d" stroke="#eceef1"/>' % (left, y, width - right))
        parts.append(_text(left - 6, y + 4, terminal.number(tick), "end"))
    for system, dashed, line in lines:
        placed = [place(x, y) for x, y in line]
        parts.append('<path d="M%s" fill="none" stroke="%s" stroke-width="2"%s/>' %
                     ("L".join("%.1f %.1f" % point for point in placed), colour(system),
                      ' stroke-dasharray="5 4"' if dashed else ""))
        parts += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (x, y, colour(system)) for x, y in placed]
    parts.append(_text((left + width - right) / 2, height - 6, x_title, "middle"))
    parts.append(_text(14, (top + height - bottom) / 2, y_title, "middle",
                       ' transform="rotate(-90 14 %.1f)"' % ((top + height - bottom) / 2)))
    return _svg(width, height, parts, label)
