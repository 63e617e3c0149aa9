"""Runs a command and adds one row to a file: measure.py ROWS ROW SIDE ROUND LOG -- COMMAND...

Columns: row, side, round, seconds, peak memory of the whole process tree in KiB (the sum of every process's own peak),
peak memory of the command's own process in KiB, bytes written to disks (what the kernel counted, also for files that were
removed again), peak memory of the largest process in KiB; processor seconds of the command's own process, of its children, and
of the servers whose process numbers are in BENCH_SERVER (PostgreSQL) and BENCH_STORE (S3). The command's output goes to LOG. A
command that fails ends the benchmark.
"""

import os
import select
import subprocess
import sys
import time


def children(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                for child in file.read().split():
                    found += [int(child), *children(int(child))]
    except OSError:
        pass
    return found


def peak(pid):
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


def processor(pid):
    """Seconds of a process, and of its children that were waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            ticks = [int(field) for field in file.read().rpartition(")")[2].split()[11:15]]
    except OSError:
        ticks = [0] * 4
    per_second = os.sysconf("SC_CLK_TCK")
    return sum(ticks[:2]) / per_second, sum(ticks[2:]) / per_second


class Server:
    """One that is there for longer than the command, named by a variable."""

    def __init__(self, variable):
        self.pid = os.environ[variable]
        self.began_with = set(children(self.pid))
        self.spent = self.seconds()

    def seconds(self):
        return sum(sum(processor(pid)) for pid in [self.pid, *children(self.pid)])

    def since(self):
        # A backend that is about to end would be missed, or counted twice.
        patience = time.monotonic() + 2
        while not set(children(self.pid)) <= self.began_with and time.monotonic() < patience:
            time.sleep(0.01)
        return self.seconds() - self.spent


def run(command, log):
    peaks = {}
    servers = [Server("BENCH_SERVER"), Server("BENCH_STORE")]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    end = select.poll()
    end.register(os.pidfd_open(process.pid), select.POLLIN)
    # Short steps at first, so that short commands are seen; then few, so that looking costs nothing.
    step = 5
    while not end.poll(step):
        step = min(step + 5, 100)
        for pid in [process.pid, *children(process.pid)]:
            peaks[pid] = max(peaks.get(pid, 0), peak(pid))
    seconds = time.perf_counter() - start
    # It has ended, and what is known of it stays until somebody waits for it.
    spent = processor(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), seconds, sum(peaks.values()), peaks.get(process.pid, 0), usage.ru_oublock * 512, \
        max(peaks.values(), default=0), *(f"{each:.2f}" for each in (*spent, *(server.since() for server in servers)))


def main():
    rows, row, side, turn, log_path = sys.argv[1:6]
    command = sys.argv[7:]
    with open(log_path, "ab") as log:
        code, *figures = run(command, log)
    if code != 0:
        sys.exit(f"{row}, {side}: exit code {code} of {' '.join(command)} (its output: {log_path})")
    with open(rows, "a", encoding="utf-8") as file:
        file.write("\t".join([row, side, turn, f"{figures[0]:.4f}", *map(str, figures[1:])]) + "\n")
    print(f"  {row:8} {side:12} round {turn}: {figures[0]:8.2f} s  {figures[1] // 1024:5} MiB  "
          f"{figures[3] / 1e6:8.1f} MB written", file=sys.stderr)


main()
