"""PROOF.md, from what scripts/prove.sh gathered: proof.py FOLDER [FAILED STEP…]. Exit code 1 where something is missing or too little."""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

# The file of counts, what it is about, how the counts begin of which there must be at least so many, how to repeat it.
AREAS = [
    ("combinations", "Doubletake's release matrix", "backup and restore", 768, "cargo test --test heavy matrix::"),
    ("proofs", "proof by restore: tables counted and hashed again", "", 60, "cargo test --test servers proven::"),
    ("owners", "functions of an owner that ran in proofs without gaining a right, and others who tried to read what was restored", "", 10, "cargo test --test servers proven::"),
    ("majors", "PostgreSQL 12 to 18", "servers, each", 7, "cargo test --test heavy majors::"),
    ("properties", "What belongs to a database itself, its locale among it", "", 90, "cargo test --test heavy -- majors::itself majors::locale"),
    ("arguments", "Options of pg_dump, given by the user: through backup, restore and proof, or refused", "", 65, "cargo test --test heavy majors::arguments"),
    ("hosts", "S3 servers of independent makers: the store's suite, a round trip", "", 5, "cargo test --test servers hosts::"),
    ("odd", "odd hosts and file systems: ways of listing, of spelling keys and of telling times, busy answers, names by case", "", 525, "cargo test --test servers store::"),
    ("parts", "uploads in parts", "", 6, "cargo test --test heavy size::"),
    ("memory", "memory whatever the size", "", 3, "cargo test --test heavy size::"),
    ("cases", "the list of faults", "", 58, "cargo test --test servers cases::"),
    ("faults", "one fault in one request or child: healed, or refused without a trace", "", 150, "cargo test --test heavy faults::"),
    ("lost", "answers lost at every request of a backup, by kind of ETag: done, or told with nothing half there", "", 300, "cargo test --test servers store::"),
    ("endless", "answers of a store without an end, in bounded memory", "", 18, "cargo test --test servers store::"),
    ("network", "bad lines, by a proxy: healed, or refused without a trace", "", 7, "cargo test --test servers network::"),
    ("clocks", "clocks that were off by up to 20 years, and jumped: the last run is stored and is the latest, or is named", "", 2_000, "cargo test --test servers series::"),
    ("servers", "servers in one folder: none removed, restored or counted what is another's", "", 2_000, "cargo test --test servers series::"),
    ("kills", "`kill -9` in the midst of a backup", "", 200, "cargo test --test heavy kill::"),
    ("capture-kills", "captures killed at named and random moments, and their servers, connections and stores", "", 300, "cargo test --test heavy witness::"),
    ("capture-moments", "moments that a witness noted meanwhile, each restored: every table is the same, or is named as not covered", "", 200, "cargo test --test heavy witness::"),
    ("capture-tables", "tables at these moments: the same, or named", "", 1_000, "cargo test --test heavy witness::"),
    ("flips", "flipped bits", "", 10_000, "cargo test --test heavy damage::"),
    ("forgeries", "truncations, swaps, replays, downgrades, foreign keys", "", 1_000, "cargo test --test heavy damage::"),
    ("documents", "forged documents by memory used, and by what they say", "", 10_000, "cargo test --test servers documents::"),
    ("bombs", "bombs", "", 3, "cargo test --test heavy damage::"),
    ("traps", "traps in a database, under every name that could be looked up: none of which sprang", "", 60_000, "cargo test --test heavy traps::"),
    ("sessions", "trips between sessions set otherwise", "", 48, "cargo test --test servers session::"),
    ("definitions", "definitions of every kind, changed while a dump was taken: it comes back whole, after a second try where it must", "", 110, "cargo test --test servers session::"),
    ("settings", "every setting of PostgreSQL 12 to 18 that a role or a database can have, at values that nobody expects", "", 800, "cargo test --test heavy settings::"),
    ("real", "real databases: what Debian's packages of extensions make, each by name: the same, or the reason", "", 40, "cargo test --test heavy real::"),
    ("tenants", "restores as a role without SUPERUSER, of the same: the same, or first made by an administrator as the hint says", "", 40, "cargo test --test heavy real::"),
    ("rights", "what a role may not restore, a provider's own extensions, statements and rows that a server refuses", "", 34, "cargo test --test servers rights::"),
    ("excess", "servers that say more than any PostgreSQL does, by type of message, trick and phase", "", 600, "cargo test --test servers excess::"),
    ("mail", "answers of a mail server without an end, by what was asked, trick and TLS", "", 100, "cargo test --test servers alert::"),
    ("alerts", "alerts per cause: one message for all databases that one reason befell", "", 24, "cargo test --test servers alert::"),
    ("recipients", "mails to several recipients, some of whom the server refuses or puts off", "", 120, "cargo test --test servers alert::"),
    ("missed", "histories of removals: the right ones missed by nobody, the others by all", "", 4_000, "cargo test --test servers missed::"),
    ("commands", "commands hidden in dumps", "", 10, "cargo test --test servers load::"),
    ("hidden", "statements that tried to hide, in dumps, archives and globals", "", 400, "cargo test --test servers load::"),
    ("swaps", "restores of files as root, while another user swaps names", "", 300, "cargo test --test servers files::"),
    ("secrets", "where secrets could show", "", 10, "cargo test --test servers failure::"),
    ("values", "settings × ways of saying them: one meaning, or refused", "", 7_000, "cargo test --test fast values::"),
    ("listings", "commands × stores: at most one listing of a database's backups", "", 46, "cargo test --test servers store::"),
    ("foreign", "foreign text × what can carry it × commands, for people and for machines: nothing obeyed, no line forged", "", 900, "cargo test --test servers foreign::"),
    ("inputs", "anything, fed to what reads foreign bytes, ten seconds each", "", 7_000, "cargo test --test fast fuzz::"),
    ("fuzz", "the same, led by libFuzzer", "", 7, "scripts/fuzz.sh"),
]
# All of which must be refused.
REFUSED = {"flips", "forgeries", "bombs", "commands", "hidden", "swaps"}
LINES = 90.0
# Where every line that makes or explains an error must have run.
ERRORS_IN = re.compile(r"src/(store(/(?!memory)|\.rs)|pipeline/|format/(manifest|keys)|repository|jobs/restore|commands/restore|postgres/restore)")
ERROR = re.compile(r"\bFault::|\bErr\(|\bmap_err\(|\.hint\(|\.context\(")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def version(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def printed(*program):
    """What one of the benchmarks' programs says of its results."""
    return subprocess.run([sys.executable, "-B", *program], capture_output=True, text=True, check=True).stdout.rstrip()


def counted(path):
    """Each file of an lcov tracefile, with how often its lines ran."""
    name, counts = None, {}
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            name, counts = rest, {}
        elif kind == "DA":
            number, count = rest.split(",")[:2]
            counts[int(number)] = int(count)
        elif kind == "end_of_record":
            yield name, counts


class Report:
    def __init__(self, folder, failed):
        self.folder = folder
        self.wrong = [f"the step \"{step}\" failed" for step in failed]
        self.text = []
        # What the figures were counted on.
        self.commit = (folder / "commit").read_text().strip()

    def say(self, *text):
        self.text += [*text, ""]

    def head(self):
        # Of all but this page, which is being written.
        sources = ["git", "diff", "--quiet", "HEAD", "--", ".", ":!PROOF.md"]
        changed = " with changes" if subprocess.run(sources, check=False).returncode else ""
        ended = datetime.datetime.fromtimestamp((self.folder / "steps.jsonl").stat().st_mtime, datetime.timezone.utc)
        processor = next(iter(re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())), "unknown")
        self.say("# The proof", "What `scripts/prove.sh` counted. It writes this page anew; nothing of it is typed by hand.")
        self.say(f"{ended:%Y-%m-%d %H:%M} UTC · pgbk at {self.commit}{changed} · {version('rustc', '--version')} · "
                 f"{version('pg_dump', '--version')} · {platform.system()} {platform.release()}, {len(os.sched_getaffinity(0))} cores, {processor}")

    def steps(self):
        took = ", ".join(f"{step['step']} {step['seconds']} s" for step in lines(self.folder / "steps.jsonl"))
        self.say(f"It took: {took}.")

    def tests(self):
        path = self.folder / "tests.log"
        if not path.exists():
            return
        text = path.read_text(errors="replace")
        results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", text, re.M)
        passed, failed, ignored = (sum(int(each[at]) for each in results) for at in range(3))
        reasons = re.findall(r"^test (\S+) \.\.\. ignored, (.*)", text, re.M)
        left_out = "".join(f"; `{name}`: {reason}" for name, reason in sorted(set(reasons)))
        names = set(re.findall(r"^test (\S+) \.\.\. FAILED", text, re.M))
        mended = names & self.passed_again()
        again = f"; when they were tried again, see below, {len(mended)} of these passed" if mended else ""
        self.say(f"**{passed} tests passed, {failed} failed, {ignored} left out**{left_out}; in {len(results)} programs{again}.")
        if names:
            self.say("\n".join(f"- `{name}` failed{', and passed when it was tried again' if name in mended else ''}" for name in sorted(names)))
        if failed > len(mended) or not passed:
            self.wrong.append(f"{failed - len(mended)} tests failed and {passed} passed")

    def passed_again(self):
        """The tests that passed with PROVE_AGAIN, on the sources of then."""
        path = self.folder / "again" / "tests.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return set(re.findall(r"^test (\S+) \.\.\. ok$", text, re.M))

    def areas(self):
        """A row for each area: of what it is about, how much was tried."""
        self.text += ["| area | tried | worked as it should | refused as it should be | to repeat it |", "|---|--:|--:|--:|---|"]
        for area, title, begin, least, command in AREAS:
            counts = self.together(area)
            passed, refused = (sum(sides[at] for what, sides in counts.items() if what.startswith(begin)) for at in range(2))
            self.text.append(f"| {title} | {passed + refused:,} | {passed:,} | {refused:,} | `{command}` |")
            if passed + refused < least:
                self.wrong.append(f"{title}: {passed + refused} were tried, and {least} are the least (`{command}`)")
            if area in REFUSED and any(passed for passed, _ in counts.values()):
                self.wrong.append(f"{title}: not all were refused")
        self.text.append("")
        self.say("Tests try all of it where `PGBK_PROVE` names a folder, for the counts; else a sample.")

    def details(self):
        self.say("## In detail")
        self.text += ["| area | what | worked as it should | refused as it should be |", "|---|---|--:|--:|"]
        for area, title, *_ in AREAS:
            for at, (what, (passed, refused)) in enumerate(self.together(area).items()):
                self.text.append(f"| {'' if at else title} | {what} | {passed:,} | {refused:,} |")
        self.text.append("")

    def together(self, area):
        """What several tests count under one name is one row."""
        counts = {}
        for count in lines(self.folder / f"{area}.jsonl"):
            passed, refused = counts.get(count["what"], (0, 0))
            counts[count["what"]] = (passed + count["passed"], refused + count["refused"])
        return counts

    def fuzz(self):
        counts = lines(self.folder / "fuzz.jsonl")
        if counts:
            seconds = sum(count["seconds"] for count in counts)
            each = ", ".join(f"{count['what']} {count['passed']:,}" for count in sorted(counts, key=lambda count: count["what"]))
            self.say(f"libFuzzer ran for {seconds / 60:.0f} minutes in all; inputs: {each}.")

    def coverage(self):
        path = self.folder / "coverage.json"
        if not path.exists():
            return
        whole = json.loads(path.read_text())["data"][0]
        files = {file["filename"].split("/src/", 1)[-1]: file["summary"]["lines"] for file in whole["files"]}
        percent = whole["totals"]["lines"]["percent"]
        self.say(f"**Lines that ran: {percent:.1f} %** of {whole['totals']['lines']['count']:,} in `src`.")
        self.text += ["| part | lines | ran |", "|---|--:|--:|"]
        parts = {}
        for name, summary in files.items():
            part = parts.setdefault(name.split("/")[0].removesuffix(".rs"), [0, 0])
            part[0] += summary["count"]
            part[1] += summary["covered"]
        self.text += [f"| {part} | {count:,} | {covered * 100 / max(count, 1):.1f} % |" for part, (count, covered) in sorted(parts.items())]
        self.text.append("")
        if percent < LINES:
            self.wrong.append(f"{percent:.1f} % of the lines ran, and {LINES} are the least")

    def error_paths(self):
        path = self.folder / "lines.lcov"
        if not path.exists():
            return
        ran, missed = 0, []
        for name, counts in counted(path):
            if not ERRORS_IN.search(name):
                continue
            place = name[name.rindex("/src/") + 1:]
            # As it was when the lines were counted.
            shown = subprocess.run(["git", "show", f"{self.commit}:{place}"], capture_output=True, text=True, check=True)
            text = shown.stdout.splitlines()
            for number, count in sorted(counts.items()):
                if "unreachable!" in text[number - 1]:
                    continue
                if ERROR.search(text[number - 1]) and count:
                    ran += 1
                elif ERROR.search(text[number - 1]):
                    missed.append(f"{place}:{number} `{text[number - 1].strip()}`")
        self.say(f"**Error paths of store, cipher, manifest and restore: {ran} of {ran + len(missed)} lines that make or explain an error ran.**")
        if missed:
            self.say("Not run:", "", *(f"- {each}" for each in missed))
            self.wrong.append(f"{len(missed)} error paths did not run")

    def speed(self):
        path = self.folder / "bench.json"
        if not path.exists():
            return
        bench = json.loads(path.read_text())
        self.say("## Speed", bench["machine"])
        self.text += ["| work | peer | pgbk | peer | ratio | bar | met |", "|---|---|---|---|---|---|---|"]
        for row in bench["table"]:
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
            met = {None: "", True: "yes", False: "no"}[row["met"]]
            self.text.append(f"| {row['work']} | {row['peer_name']} | {row['pgbk']} | {row['peer']} | {ratio} | {row['bar'] or ''} | {met} |")
        self.text.append("")
        self.say("Whose work the cores did, in processor seconds:", "", printed("benches/report.py", "--costs", path))
        if any(row["met"] is False for row in bench["table"]):
            self.say("What limits pgbk where a bar is not met is explained in [docs/speed.md](docs/speed.md#bars-that-are-not-met).")

    def growth(self):
        path = self.folder / "growth.json"
        if path.exists():
            self.say("How the cost of a backup to S3 grows:", printed("benches/growth.py", "--table", path))

    def capture(self):
        path = self.folder / "capture.json"
        if path.exists():
            self.say("What continuous backup costs, and how fast it is:", printed("benches/capture.py", "--table", path))

    def again(self):
        folder = self.folder / "again"
        if not folder.exists():
            return
        self.say(f"## Tried again at {(folder / 'commit').read_text().strip()}")
        self.text += ["| what | worked | refused |", "|---|--:|--:|"]
        for path in sorted(folder.glob("*.jsonl")):
            self.text += [f"| {each['what']} | {each['passed']:,} | {each['refused']:,} |" for each in lines(path)]
        self.text.append("")

    def verdict(self):
        if self.wrong:
            self.say("## Not good", "\n".join(f"- {each}" for each in self.wrong))


def main():
    folder, *failed = sys.argv[1:]
    report = Report(Path(folder), failed)
    for part in (report.head, report.steps, report.tests, report.areas, report.fuzz, report.coverage, report.error_paths, report.speed,
                 report.growth, report.capture, report.details, report.again, report.verdict):
        part()
    print("\n".join(report.text).rstrip())
    sys.exit(1 if report.wrong else 0)


main()
