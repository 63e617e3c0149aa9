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


# How far behind the recoverable point may be, in seconds, and how long after an outage it may take until it is there again.
LAG, AGAIN = 60, 60
# How much of its log the server may keep, in bytes: two minutes without a store are far less.
RETAINED = 512 << 20


def outages(events):
    """The times in which changes could not be stored, with the time it takes to go on."""
    begun = {"up": "down", "s3-back": "s3-away"}
    since = {}
    for at, what in events:
        since[what] = at
        if what in begun:
            yield since[begun[what]], at + AGAIN
        elif what == "db-restart":
            yield at, at + AGAIN


def judge_capture(folder, events):
    """What is wrong with the capture."""
    samples = [tuple(None if word == "None" else int(word) for word in line.split()) for line in lines(folder / "capture.log")]
    away = list(outages(events))
    begun, ended = events[0][0], events[-1][0]
    states, unaccounted = {"within": 0, "outage": 0}, []
    for minute in range(int(begun) + 60, int(ended) - 59, 60):
        near = [lag for at, lag, _ in samples if minute <= at < minute + 60 and lag is not None]
        if near and max(near) <= LAG:
            states["within"] += 1
        elif any(start < minute + 60 and minute < end for start, end in away):
            states["outage"] += 1
        else:
            unaccounted.append((datetime.fromtimestamp(minute).isoformat(), near))
    moments = {kind: sum(what == f"moment-{kind}" for _, what in events) for kind in ("same", "differs", "refused")}
    retained = max((bytes for _, _, bytes in samples if bytes is not None), default=0)
    lags = sorted(lag for _, lag, _ in samples if lag is not None)
    changes = json.loads((folder / "changes.json").read_text())
    print(f"recoverable point, by minutes: {states}; behind by {lags[len(lags) // 2]} s in half of {len(lags)} looks, at most {lags[-1]} s")
    print(f"log kept for the slot: at most {retained / 1e6:.0f} MB; moments restored: {moments}")
    print(f"changes verified: {json.dumps(changes)[:300]}")
    if unaccounted:
        yield f"the recoverable point was behind for no known reason: {unaccounted}"
    if retained > RETAINED:
        yield "the server keeps too much of its log"
    if moments["differs"] or moments["refused"] or not moments["same"]:
        yield f"moments that were restored: {moments}"


def of_capture(alert):
    return alert["message"]["run"].endswith("-capture")


def judge_capture_alerts(alerts, events):
    """What is wrong with what people were told of the capture: each trouble lies in an outage, and its end is told."""
    away, open_since = list(outages(events)), None
    told = [(alert["at"], alert["message"]["state"], alert["message"]["subject"]) for alert in alerts if of_capture(alert)]
    print(f"alerts of the capture: {[state for _, state, _ in told]}")
    for at, state, subject in told:
        if state == "failed" and not any(start <= at < end for start, end in away):
            yield f"an alert of the capture without an outage: {subject}, {datetime.fromtimestamp(at).isoformat()}"
        open_since = at if state == "failed" else None
    if open_since:
        yield "the end of the capture's trouble was not told"


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
    told = [alert["message"]["state"] for alert in alerts if not of_capture(alert)]

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

    problems = [*judge_capture(folder, events), *judge_capture_alerts(alerts, events)]
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
