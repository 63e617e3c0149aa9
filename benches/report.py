"""The table of ratios, from the rows that measure.py wrote: report.py ROWS SIZES MACHINE RESULTS.

Ratios are medians of the ratios of each round, where both sides ran one after the other. RESULTS gets everything as JSON.
report.py --table RESULTS prints the table of docs/speed.md from that: the rows that took time beside something else; report.py --costs
RESULTS prints whose work the cores did meanwhile.
"""

import json
import re
import sys
from statistics import median

from rows import Rows, sizes_of

# row, side of pgbk, side of the peer, what is compared, the bar
PAIRS = [
    ("plain", "dir", "peer", "backup, not compressed, encrypted, to a directory / `pg_dump > /dev/null`", 0.8),
    ("plain", "s3", "peer", "backup, not compressed, encrypted, to S3 / `pg_dump > /dev/null`", 1.6),
    ("plain", "s3", "shell", "the same / `pg_dump \\| openssl \\| aws s3 cp -`", None),
    ("zstd", "dir", "peer", "backup, zstd:3, encrypted, to a directory / `pg_dump > /dev/null`", 1.1),
    ("zstd", "dir-1", "peer", "backup, zstd:1, encrypted, to a directory / `pg_dump > /dev/null`", 0.85),
    ("zstd", "s3", "peer", "backup, zstd:3, encrypted, to S3 / `pg_dump > /dev/null`", 1.2),
    ("zstd", "dir", "pipe", "backup, zstd:3, encrypted, to a directory / `pg_dump \\| zstd -3 > /dev/null`", None),
    ("xz", "dir", "peer", "backup, xz:4, encrypted, to a directory / `pg_dump \\| xz -T0 -4 > /dev/null`", 1.03),
    ("shell", "s3", "peer", "backup, xz:4, encrypted, to S3 / `pg_dump \\| xz -T0 -4 \\| openssl \\| aws s3 cp -`", None),
    ("staging", "xz-s3", "xz-peer", "the same / dump to disk, b2sum, xz -T0 -4, openssl, aws s3 cp", 0.6),
    ("staging", "plain-s3", "plain-peer", "backup, not compressed, to S3 / dump to disk, b2sum, openssl, aws s3 cp", 0.6),
    ("restore", "dir", "peer", "restore from a directory / `psql -1 -f` of the local file", 0.72),
    ("restore", "dir", "jobs", "the same / `pg_restore -j2` of a local directory", 1.0),
    ("table", "one", "whole", "restore of one table of a hundredth / restore of all", 0.05),
    ("copy", "both", "peer", "backup with an anonymised one beside it, zstd:3, rules for a tenth of the bytes / the plain one alone", 1.3),
    ("copy", "texts", "peer", "the same with other letters in a text of each third order / the plain one alone", None),
    ("many", "dir", "peer", "backup of 20,000 small tables, not compressed, encrypted, to a directory / `pg_dump > /dev/null`", 1.0),
]

CORES = 2


def entry(work, peer, ours, theirs, ratio, bar, met):
    return {"work": work, "pgbk": ours, "peer": theirs, "ratio": ratio, "bar": bar, "met": met, "peer_name": peer}


def speed(rows):
    for row, ours, theirs, text, bar in PAIRS:
        mine, other = rows.of(row, ours, "seconds"), rows.of(row, theirs, "seconds")
        both = sorted(mine.keys() & other.keys())
        if both:
            ratio = median(mine[turn] / other[turn] for turn in both)
            work, peer = text.split(" / ")
            yield entry(work, peer, f"{median(mine.values()):.2f} s", f"{median(other.values()):.2f} s", ratio,
                        bar and f"≤ {bar}", bar and ratio <= bar)


def disk(rows):
    for side, text in [("xz", "the same, xz:4"), ("plain", "the same, not compressed")]:
        mine, other = rows.of("staging", f"{side}-s3", "written"), rows.of("staging", f"{side}-peer", "written")
        if mine and other:
            ours = max(mine.values())
            # A log line is not a temporary file.
            yield entry(f"written to disk, {text}", "staging", f"{ours / 1e6:.1f} MB",
                        f"{max(other.values()) / 1e6:.0f} MB", None, "no disk", ours < 1e6)


def stored(sizes):
    if "xz pgbk" in sizes and "xz peer" in sizes:
        ratio = sizes["xz pgbk"] / sizes["xz peer"]
        yield entry("stored size, xz:4", "`pg_dump \\| xz -T0 -4`", f"{sizes['xz pgbk'] / 1e6:.2f} MB",
                    f"{sizes['xz peer'] / 1e6:.2f} MB", ratio, "within 1 %", abs(ratio - 1) <= 0.01)


def read(sizes):
    if "table read" in sizes:
        mine, whole = sizes["table read"], sizes["table payload"]
        yield entry("bytes read to restore one table of a hundredth", "its payload", f"{mine / 1e6:.2f} MB", f"{whole / 1e6:.1f} MB",
                    mine / whole, "≤ 0.03", mine / whole <= 0.03)


# MiB: 96, and 16 for each of two connections that read tables.
MEMORY = 96 + 2 * 16
# The bar is about dumps from this size on.
FLAT_FROM = 500_000_000


def memory(rows, sizes):
    flat = sizes.get("memory quarter", 0) >= FLAT_FROM
    for kind, text in [("plain", "not compressed"), ("zstd", "zstd:3")]:
        full, quarter = (rows.of("memory", f"{kind}-{part}", "own_kib") for part in ("full", "quarter"))
        if not full or not quarter:
            continue
        codec = median(rows.of("memory", f"{kind}-codec", "own_kib").values() or [0])
        large, small = median(full.values()), median(quarter.values())
        beyond = (large - codec) / 1024
        bar, met = ("± 10 %", abs(large / small - 1) <= 0.1) if flat else (None, None)
        yield entry(f"peak memory, backup to S3, {text}", f"codec alone {codec / 1024:.0f} MiB" if codec else "no codec",
                    f"{large / 1024:.0f} MiB", "", None, f"≤ {MEMORY} MiB beyond the codec", beyond <= MEMORY)
        yield entry("the same, the whole database / a quarter of it", "a quarter of it", f"{large / 1024:.0f} MiB",
                    f"{small / 1024:.0f} MiB", large / small, bar, met)
    own = rows.of("restore", "dir", "own_kib")
    if own:
        largest = max(own.values()) / 1024
        yield entry("peak memory, restore, not compressed", "no codec", f"{largest:.0f} MiB", "", None, f"≤ {MEMORY} MiB", largest <= MEMORY)


def start(rows):
    mine, other = (rows.of("startup", side, "seconds") for side in ("help", "peer"))
    if mine:
        ours = median(mine.values()) * 1000
        yield entry("start-up, `pgbk --help`", "`true`", f"{ours:.1f} ms", f"{median(other.values()) * 1000:.1f} ms",
                    None, "≤ 10 ms", ours <= 10)


def store(rows, sizes):
    put = rows.of("store", "put", "seconds")
    if put:
        rate = sizes["store put"] / median(put.values()) / 1e6
        yield entry(f"the store itself: `aws s3 cp` of a file of {sizes['store put'] / 1e6:.0f} MB", "", "",
                    f"{median(put.values()):.2f} s ({rate:.0f} MB/s)", None, None, None)


def sides():
    """Each side of the pairs once: row, side, its name, whether it is pgbk."""
    seen = set()
    for row, ours, theirs, text, _ in PAIRS:
        for side, name in zip((theirs, ours), reversed(text.split(" / "))):
            # "The same" has its row elsewhere.
            if (row, side) not in seen and name != "the same":
                seen.add((row, side))
                yield row, side, name, side == ours


def costs(rows):
    for row, side, work, is_pgbk in sides():
        took = rows.of(row, side, "seconds")
        if took:
            server, children, own, store_server = (median(rows.of(row, side, f"{whose}_cpu").values())
                                                   for whose in ("server", "children", "own", "store"))
            # Where the command is not pgbk, it is one more of those that work beside the server.
            programs, pgbk = (children, own) if is_pgbk else (children + own, 0)
            yield {"work": work, "seconds": median(took.values()), "spent": [server, programs, pgbk, store_server]}


def costs_table(results):
    yield "| work | took | server | pg_dump, psql, the pipe | pgbk | S3 server | of both cores |\n|---|--:|--:|--:|--:|--:|--:|"
    for each in results["costs"]:
        share = sum(each["spent"]) / each["seconds"] / CORES
        spent = " | ".join(f"{one:.1f} s" if one >= 0.05 else "" for one in each["spent"])
        yield f"| {each['work']} | {each['seconds']:.1f} s | {spent} | {share:.0%} |"


def speed_table(results):
    table = results["table"]
    yield "| work | beside | pgbk | it | ratio |\n|---|---|---|---|---|"
    for each in table:
        if re.match(r"[0-9.]+ s\b", each["peer"]):
            ratio = "" if each["ratio"] is None else f"{each['ratio']:.2f}"
            yield f"| {each['work']} | {each['peer_name']} | {each['pgbk']} | {each['peer']} | {ratio} |"


def main():
    if sys.argv[1] in ("--table", "--costs"):
        with open(sys.argv[2], encoding="utf-8") as file:
            print("\n".join({"--table": speed_table, "--costs": costs_table}[sys.argv[1]](json.load(file))))
        return
    rows_path, sizes_path, machine, results = sys.argv[1:]
    rows, sizes = Rows(rows_path), sizes_of(sizes_path)
    table = [*speed(rows), *disk(rows), *stored(sizes), *read(sizes), *memory(rows, sizes), *start(rows), *store(rows, sizes)]
    whole = {"machine": machine, "sizes": sizes, "table": table, "costs": list(costs(rows)), "rows": rows.all}
    with open(results, "w", encoding="utf-8") as file:
        json.dump(whole, file, indent=1, ensure_ascii=False)
        file.write("\n")
    print(f"\n{machine}\n")
    print("| work | peer | pgbk | peer | ratio | bar | met |\n|---|---|---|---|---|---|---|")
    for each in table:
        ratio = f"{each['ratio']:.3f}" if each["ratio"] is not None else ""
        met = {True: "yes", False: "**no**", None: ""}[each["met"]]
        print(f"| {each['work']} | {each['peer_name']} | {each['pgbk']} | {each['peer']} | {ratio} | {each['bar'] or ''} | {met} |")
    print("\nProcessor seconds:\n", *costs_table(whole), sep="\n")


main()
