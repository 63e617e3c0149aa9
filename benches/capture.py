"""The table of continuous backup, from the rows that measure.py wrote and what was noted: capture.py ROWS SIZES MACHINE RESULTS.

RESULTS gets everything as JSON. capture.py --table RESULTS prints the table from that.
"""

import json
import sys
from statistics import median

from rows import Rows, sizes_of


def entry(work, measured, bar, met):
    return {"work": work, "measured": measured, "bar": bar, "met": met}


def stream(rows, sizes):
    ours, peer = (rows.of("stream", side, "seconds") for side in ("pgbk", "peer"))
    if not ours:
        return
    changes, wal = sizes["stream changes"], sizes["stream wal"]
    took = median(ours.values())
    yield entry("capture, compressed, sealed, to a directory: changed rows each second", f"{changes / took:,.0f}", "≥ 60,000", changes / took >= 60_000)
    yield entry("the same: WAL", f"{wal / took / 1e6:.0f} MB/s", "≥ 25 MB/s", wal / took >= 25e6)
    own = median(rows.of("stream", "pgbk", "children_cpu").values())
    server = median(rows.of("stream", "pgbk", "server_cpu").values())
    yield entry("the same: processor seconds of pgbk, of the server", f"{own:.1f} s, {server:.1f} s", "", None)
    ratio = median(peer[turn] / ours[turn] for turn in ours.keys() & peer.keys())
    yield entry("speed / that of `pg_recvlogical > /dev/null`", f"{ratio:.2f}", "≥ 0.8", ratio >= 0.8)


def latency(sizes):
    for name, text in [("idle", "on an idle server"), ("load", "beside 500 transactions a second")]:
        if f"latency {name} p99" in sizes:
            half, most = (sizes[f"latency {name} p{share}"] for share in (50, 99))
            yield entry(f"commit → stored, {text}: half, and 99 of 100", f"{half / 1000:.2f} s, {most / 1000:.2f} s", "≤ 2 s", most <= 2000)


def cost(sizes):
    without, beside = ([size for name, size in sizes.items() if name.startswith(f"cost {kind} ")] for kind in ("without", "with"))
    if without and beside:
        share = 1 - median(beside) / median(without)
        text = f"pgbench with two clients on both cores: {median(without):,.0f} transactions a second alone, {median(beside):,.0f} beside a capture"
        yield entry(text, f"{share:.1%} fewer", "≤ 5 %", share <= 0.05)
    if "cost idle" in sizes:
        share = sizes["cost idle"] / 1000
        yield entry("idle: share of a core, with the server's part", f"{share:.1%}", "≤ 0.5 %", share <= 0.005)


def memory(rows, sizes):
    own = rows.of("memory", "pgbk", "largest_kib")
    if own:
        most = max(own.values()) / 1024
        yield entry(f"memory with a transaction of {sizes['memory rows']:,} rows", f"{most:.0f} MiB", "≤ 128 MiB", most <= 128)


def apply(rows, sizes):
    for kind, bar, text in [("mixed", 60_000, "changes applied each second, mixed"), ("inserts", 100_000, "inserts applied each second")]:
        took = rows.of("apply", kind, "seconds")
        if took:
            rate = sizes["apply changes"] / median(took.values())
            yield entry(text, f"{rate:,.0f}", f"≥ {bar:,}", rate >= bar)


def read(sizes):
    if "read all" in sizes:
        for name, text in [("burst", "at one time"), ("rare", "among all others")]:
            share = sizes[f"read {name}"] / sizes["read all"]
            yield entry(f"one table with 1 % of the changes, made {text}: changes that are read", f"{share:.0%}", "≤ 10 %", share <= 0.1)


def table(results):
    yield "| work | measured | bar | met |\n|---|---|---|---|"
    for each in results["table"]:
        met = {True: "yes", False: "no", None: ""}[each["met"]]
        yield f"| {each['work']} | {each['measured']} | {each['bar']} | {met} |"


def main():
    if sys.argv[1] == "--table":
        with open(sys.argv[2], encoding="utf-8") as file:
            results = json.load(file)
        print(results["machine"], "", *table(results), sep="\n")
        return
    rows_path, sizes_path, machine, path = sys.argv[1:]
    rows, sizes = Rows(rows_path), sizes_of(sizes_path)
    entries = [*stream(rows, sizes), *latency(sizes), *cost(sizes), *memory(rows, sizes), *apply(rows, sizes), *read(sizes)]
    results = {"machine": machine, "sizes": sizes, "table": entries, "rows": rows.all}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1, ensure_ascii=False)
        file.write("\n")
    print("", machine, "", *table(results), sep="\n")


main()
