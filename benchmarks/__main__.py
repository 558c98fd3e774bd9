"""python -m benchmarks [SUBJECT...]: measure, then print one table."""

import argparse
import sys

from benchmarks import bursts, calls, computation, hosts
from benchmarks.runs import programs
from benchmarks.table import print_table

SUBJECTS = {
    "calls": calls.measure,
    "bursts": bursts.measure,
    "hosts": hosts.measure,
    "computation": computation.measure,
}


def main() -> int:
    """Return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subject", nargs="*", help=f"of {', '.join(SUBJECTS)} (default: all)")
    chosen = parser.parse_args().subject or list(SUBJECTS)
    if unknown := set(chosen) - SUBJECTS.keys():
        parser.error(f"unknown subject {unknown.pop()!r}; subjects are {', '.join(SUBJECTS)}")
    figures = []
    with programs() as directory:
        for name in chosen:
            for figure in SUBJECTS[name](directory):
                print(f"{figure.measure} ...", file=sys.stderr)
                figures.append(figure)
    print_table(figures)
    missed = sum(not figure.met for figure in figures)
    print("every target is met" if not missed else f"{missed} of the targets missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
