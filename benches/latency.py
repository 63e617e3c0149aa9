"""Commits twice a second, and notes after how many milliseconds each commit was stored: latency.py SLOT SECONDS NAME.

A commit is stored when the capture has confirmed its place to the server. It prints half of them and 99 of a hundred as
"latency NAME p50" and "latency NAME p99", a tab, and milliseconds.
"""

import sys
import time

from psql_session import Session


def main():
    slot, seconds, name = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    session, took = Session(), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        place = session.ask("INSERT INTO rare (text) VALUES ('marked') RETURNING pg_current_wal_insert_lsn()")
        while not session.is_stored(slot, place):
            if time.monotonic() > began + 60:
                sys.exit("a commit was not stored within a minute")
            time.sleep(0.005)
        took.append(time.monotonic() - began)
        # At another time of the interval than the last one.
        time.sleep(0.5 + len(took) % 10 / 20)
    took.sort()
    for share in (50, 99):
        print(f"latency {name} p{share}\t{took[min(len(took) - 1, len(took) * share // 100)] * 1000:.0f}")


main()
