"""Listens for alerts during scripts/soak.sh, and judges afterwards what the records, alerts and events say together."""

import http.server
import json
import pathlib
import sys
import time
from datetime import datetime

EVERY = 20


def receive(address, folder):
    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with open(folder / "alerts.log", "a") as file:
                file.write(json.dumps({"at": time.time(), "message": json.loads(body)}) + "\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((address, 0), Receiver)
    (folder / "port").write_text(str(server.server_port))
    server.serve_forever()


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def judge(folder):
    events = [(float(at), what) for at, what in (line.split() for line in lines(folder / "events.log"))]
    records = json.loads((folder / "history.json").read_text())
    records.sort(key=lambda record: record["started"])
    alerts = [json.loads(line) for line in lines(folder / "alerts.log")]
    begun, ended = events[0][0], events[-1][0]
    downs = [at for at, what in events if what == "down"]
    ups = [at for at, what in events if what == "up"]

    # Every mark is a run, was skipped, or fell into a time in which nothing ran.
    starts = [(seconds(record["started"]), record) for record in records]
    states, unaccounted = {}, []
    first = starts[0][0]
    mark = (int(first) // EVERY + 1) * EVERY
    while mark < ended - EVERY:
        own = [record for at, record in starts if mark - 0.5 <= at < mark + EVERY - 0.5]
        down = any(start - EVERY < mark < end + EVERY for start, end in zip(downs, ups))
        busy = any(at <= mark and record["ended"] and seconds(record["ended"]) > mark for at, record in starts)
        if own:
            key = own[0]["state"] if own[0]["cause"] == "schedule" else own[0]["cause"]
        elif down:
            key = "down"
        elif busy:
            key = "busy"
        else:
            key = "unaccounted"
            unaccounted.append(datetime.fromtimestamp(mark).isoformat())
        states[key] = states.get(key, 0) + 1
        mark += EVERY

    # One message when runs begin to fail and one when they work again.
    expected, failing = [], False
    for record in records:
        if record["state"] in ("failed", "done") and (record["state"] == "failed") != failing:
            failing = record["state"] == "failed"
            expected.append("failed" if failing else "recovered")
    told = [alert["message"]["state"] for alert in alerts]

    memory = [int(line.split()[1]) for line in lines(folder / "memory.log")]
    third = max(1, len(memory) // 3)
    early, late = sorted(memory[:third])[third // 2], sorted(memory[-third:])[third // 2]
    doctor = json.loads((folder / "doctor.json").read_text())
    leftovers = next(finding for finding in doctor["findings"] if finding["what"] == "leftovers")
    verified = json.loads((folder / "verify.json").read_text())
    running = [record["run"] for record in records if record["state"] == "running"]

    kinds = {}
    for record in records:
        key = f'{record["cause"]} {record["state"]}'
        kinds[key] = kinds.get(key, 0) + 1
    print(f"{(ended - begun) / 60:.0f} minutes, {len(downs)} restarts of the container; events: {[what for _, what in events]}")
    print(f"records: {kinds}")
    print(f"marks: {states}")
    print(f"alerts: {told}; expected from the records: {expected}")
    print(f"anonymous memory: {early} KiB in the first third, {late} KiB in the last, at most {max(memory)} KiB")
    print(f"leftovers: {leftovers['detail']}; backups verified: {len(verified['backups'])}, damaged: {verified['damaged']}")

    problems = []
    if unaccounted:
        problems.append(f"nobody knows what became of {unaccounted}")
    if told != expected:
        problems.append("the alerts are not those of the records")
    if late > early * 1.1 + 1024:
        problems.append("memory grows")
    if leftovers["status"] != "ok":
        problems.append("something is left over in the store")
    if verified["damaged"] or running:
        problems.append(f"damaged: {verified['damaged']}, still running: {running}")
    for problem in problems:
        print(f"NOT GOOD: {problem}")
    print(f"{1 if not problems else 0} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(sys.argv[2], pathlib.Path(sys.argv[3]))
    else:
        sys.exit(judge(pathlib.Path(sys.argv[1])))
