"""A session of psql that is asked again and again, as connecting would cost more than the question."""

import subprocess


class Session:
    def __init__(self, database="changes"):
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
        self.psql = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, query):
        """The only line of the answer."""
        self.psql.stdin.write(query + ";\n")
        self.psql.stdin.flush()
        line = self.psql.stdout.readline()
        if not line:
            raise SystemExit(f"psql ended at: {query}")
        return line.strip()

    def is_stored(self, slot, place):
        """Whether the slot's reader has confirmed that the transaction is stored of which this place of the log is."""
        return self.ask(f"SELECT confirmed_flush_lsn > '{place}' FROM pg_replication_slots WHERE slot_name = '{slot}'") == "t"
