"""Runs a capture until the transaction is stored of which a place of the log is: until.py SLOT PLACE -- COMMAND..."""

import subprocess
import sys
import time

from psql_session import Session


def main():
    slot, place = sys.argv[1:3]
    session = Session()
    capture = subprocess.Popen(sys.argv[4:])
    while not session.is_stored(slot, place):
        if capture.poll() is not None:
            sys.exit(f"the capture ended with exit code {capture.returncode}")
        time.sleep(0.02)
    capture.terminate()
    capture.wait()


main()
