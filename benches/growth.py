"""How cost grows, from the rows that measure.py wrote: growth.py ROWS SIZES MACHINE TOOLS RESULTS.

RESULTS gets everything as JSON: each run, and the medians of each point. growth.py --table RESULTS prints the table again.
"""

import json
import sys
from statistics import median

from rows import Rows, sizes_of

FIGURES = ["seconds", "tree_kib", "largest_kib", "written"]
AXES = {"size": "{} GB", "tables": "{} tables", "parts": "{} parts in flight"}


def medians(rows, sizes):
    for row, side in dict.fromkeys((run["row"], run["side"]) for run in rows.all):
        axis, at = row.split()
        seconds, floor = rows.of(row, side, "seconds"), rows.of(row, "pg_dump", "seconds")
        yield {"axis": axis, "at": float(at), "side": side,
               **{figure: round(median(rows.of(row, side, figure).values()), 4) for figure in FIGURES},
               # Both of a round ran close to one another.
               "ratio": round(median(seconds[turn] / floor[turn] for turn in seconds), 4),
               "dump_bytes": sizes.get(f"plain {axis}_{at}"), "stored_bytes": sizes.get(f"{row} {side}")}


def table(results):
    yield f"{results['machine']} {'; '.join(results['tools'])}."
    yield ""
    yield "| backup of | by | time | / `pg_dump > /dev/null` | memory, all processes | the largest | written to disk | stored |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for each in results["medians"]:
        stored = f"{each['stored_bytes'] / 1e6:.1f} MB" if each["stored_bytes"] else ""
        yield (f"| {AXES[each['axis']].format(format(each['at'], ',g'))} | {each['side']} | {each['seconds']:.2f} s | {each['ratio']:.2f} | "
               f"{each['tree_kib'] / 1024:.0f} MiB | {each['largest_kib'] / 1024:.0f} MiB | {each['written'] / 1e6:.1f} MB | {stored} |")


def main():
    if sys.argv[1] == "--table":
        with open(sys.argv[2], encoding="utf-8") as file:
            results = json.load(file)
    else:
        rows_path, sizes_path, machine, tools, path = sys.argv[1:]
        rows = Rows(rows_path)
        with open(tools, encoding="utf-8") as file:
            results = {"machine": machine, "tools": file.read().splitlines(), "medians": list(medians(rows, sizes_of(sizes_path))),
                       "rows": rows.all}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1, ensure_ascii=False)
            file.write("\n")
    print("\n".join(table(results)))


main()
