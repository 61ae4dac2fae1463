"""Runs one input again: ``python -m tests.fuzz.again TARGET "(Json(...),)" [--keep FOLDER]``."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.fuzz import mutations
from tests.fuzz.harness import Fuzzer
from tests.fuzz.server import Server, register_tiny


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("mutations")
    parser.add_argument("--keep", type=Path, help="leave inputs and outputs here, in the sub-folder work")
    parser.add_argument("--old", action="store_true", help="with an older output")
    given = parser.parse_args()
    register_tiny()
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        fuzzer = Fuzzer(given.target, given.keep or Path(folder), server)
        changes = eval(given.mutations, vars(mutations))
        problems = fuzzer(changes, given.old)
        print(server.run(fuzzer.target.command, list(fuzzer.target.argv), fuzzer.work))
        for problem in problems:
            print(problem)


if __name__ == "__main__":
    main()
