"""Draws how cost grows: plot.py RESULTS PICTURE, from the JSON of growth.sh to an SVG. The same JSON gives the same bytes.

Two rows of three panels: time and memory, over size, number of tables and parts in flight. An axis goes by powers of
ten where its values would not be told apart otherwise.
"""

import json
import math
import sys

WIDTH, HEIGHT = 960, 560
# Of each panel: where it begins, how far apart they are, how large what is drawn in is.
LEFT, TOP, ACROSS, DOWN, WIDE, HIGH = 52, 40, 310, 270, 196, 190
AXES = [("size", "size of the dump, GB"), ("tables", "tables, of the same size together"), ("parts", "parts in flight")]
FIGURES = [("seconds", "seconds", 1), ("tree_kib", "memory of all processes, MiB", 1024)]
# Readable on white and on black alike.
COLOURS = {"pgbk": "#1f8f4e", "shell": "#c26a00", "restic": "#8a63d2", "rclone": "#d1477a", "pg_dump": "#808890"}
STYLE = ("text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;fill:#24292f}.grid{stroke:#d0d7de}"
         "@media(prefers-color-scheme:dark){text{fill:#8d96a0}.title{fill:#e6edf3}.grid{stroke:#3d444d}}")
LINE = 13


class Scale:
    """From values to pixels."""

    def __init__(self, values, begin, end, from_zero=False):
        self.powers = min(values) > 0 and max(values) / min(values) > (50 if from_zero else 10)
        self.begin, self.end = begin, end
        if self.powers:
            self.low, self.high = math.log10(min(values)), math.log10(max(values))
            if from_zero:
                self.low, self.high = math.floor(self.low), math.ceil(self.high)
        elif from_zero:
            self.low, self.high = 0, round_up(max(values))
        else:
            self.low, self.high = min(values), max(values)

    def at(self, value):
        value = math.log10(value) if self.powers else value
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.begin + share * (self.end - self.begin)

    def marks(self):
        if self.powers:
            exponents = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
            return [10.0 ** exponent for exponent in exponents]
        return [self.high * quarter / 4 for quarter in range(5)]


def round_up(value):
    """The next of 1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8 with some power of ten, so that a quarter of it is a short number."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= value * 0.999)


def text(x, y, words, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{words}</text>'


def number(value):
    return f"{value:,.6g}"


def panel(points, left, top):
    """The lines of one axis and one figure: points are (at, side, value)."""
    across = sorted({at for at, _, _ in points})
    x = Scale(across, left, left + WIDE)
    y = Scale([value for _, _, value in points], top + HIGH, top, from_zero=True)
    for mark in y.marks():
        yield f'<path class="grid" d="M{left} {y.at(mark):.1f}h{WIDE}"/>'
        yield text(left - 6, y.at(mark) + 4, number(mark), "end")
    for at in across:
        yield text(x.at(at), top + HIGH + 18, number(at), "middle")
    ends = []
    for side, colour in COLOURS.items():
        line = [(x.at(at), y.at(value)) for at, name, value in sorted(points) if name == side]
        if not line:
            continue
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in line)
        width = 2.5 if side == "pgbk" else 1.5
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
        yield from (f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{width}" fill="{colour}"/>' for a, b in line)
        ends.append((line[-1][1], side, colour))
    for height, side, colour in apart(ends):
        yield text(left + WIDE + 6, height + 4, side, "start", f' style="fill:{colour}"')


def apart(ends):
    """Labels beside the ends of their lines, moved so far that none covers another."""
    ends = sorted(ends)
    heights = [height for height, _, _ in ends]
    for _ in range(200):
        for at in range(len(heights) - 1):
            gap = LINE - (heights[at + 1] - heights[at])
            if gap > 0:
                heights[at] -= gap / 2
                heights[at + 1] += gap / 2
    return [(height, side, colour) for height, (_, side, colour) in zip(heights, ends)]


def picture(results):
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    yield "<title>Cost of a backup to S3 over the size of the dump, the number of tables and the parts in flight</title>"
    yield f"<style>{STYLE}</style>"
    for row, (figure, unit, divisor) in enumerate(FIGURES):
        for column, (axis, across) in enumerate(AXES):
            left, top = LEFT + column * ACROSS, TOP + row * DOWN
            points = [(each["at"], each["side"], each[figure] / divisor) for each in results["medians"] if each["axis"] == axis]
            yield text(left - 40, top - 16, unit, more=' class="title"')
            yield text(left + WIDE / 2, top + HIGH + 38, across, "middle")
            if points:
                yield from panel(points, left, top)
    yield "</svg>"


def main():
    results, path = sys.argv[1:]
    with open(results, encoding="utf-8") as file:
        drawn = "\n".join(picture(json.load(file))) + "\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(drawn)


main()
