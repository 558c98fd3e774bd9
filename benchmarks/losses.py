"""TCP over one link that loses 1 % of the data's frames: mean goodput in Mbit/s and its standard error.

usage: python -m benchmarks.losses [--engine kernel] [--live] [--runs N] [--seconds ...]

Each run has a seed of its own. --live: the same network in real time. All runs have Reno, the user engine's
default; the kernel engine's is the machine's, CUBIC, which falls behind Reno in small windows. Beside them is
what Reno makes of such a link by theory (reno.py).
"""

from __future__ import annotations

import argparse
import math
import statistics
from functools import partial

from benchmarks.reno import goodput as in_theory
from benchmarks.tcp import DELAYS, RATES, measure
from mininet_kronos import KronosHost

LOSS = 1  # %


def main() -> None:
    """Print a row for each rate and delay."""
    parser = argparse.ArgumentParser(description="Goodput of TCP with losses.")
    parser.add_argument("--engine", choices=["user", "kernel"], default="user")
    parser.add_argument("--live", action="store_true", help="in real time")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="Mbit/s")
    parser.add_argument("--delays", type=int, nargs="+", default=DELAYS, help="ms")
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 20, 60], help="for each of the delays")
    args = parser.parse_args()
    print(
        f"{LOSS} % of losses, {args.engine} engine{', live' if args.live else ''}, {args.runs} runs; theory"
    )
    host = partial(KronosHost, counter="free")  # the machine's speed does not matter
    for delay, seconds in zip(args.delays, args.seconds):
        for rate in args.rates:
            link = {"bw": rate, "delay": f"{delay}ms", "params1": {"loss": LOSS}}
            runs = []
            for seed in range(args.first, args.first + args.runs):
                goodput, _, _ = measure(
                    f"-C reno -t {seconds}", link, args.live, seed=seed, engine=args.engine, host=host
                )
                runs.append(goodput)
                print(f"figure {rate} Mbit/s {delay} ms: {goodput:.3f}", flush=True)
            error = statistics.stdev(runs) / math.sqrt(len(runs)) if len(runs) > 1 else math.nan
            theory = statistics.mean(in_theory(rate, delay, LOSS / 100, 40, seed) for seed in range(5))
            print(
                f"{rate:4} Mbit/s {delay:3} ms {statistics.mean(runs):8.3f} +- {error:.3f} {theory:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
