#!/usr/bin/env python3
"""Boot a kernel in QEMU, run tests in it and print what they report.

usage: scripts/vm/run.py --kernel DIR --initramfs FILE [--disk FILE | --share] [--cpus N] TEST...

The guest reports on a serial port of its own: a line for each test, and `success` with their number as the
last one. Without it the run has failed, whatever else was seen: a guest that hangs or crashes cannot say it.

With one CPU the guest's time counts its instructions (-icount), so that a busy machine changes nothing in it.
Not with a disk. With a share time goes on at real time's pace while the guest waits, for the share as well;
else it jumps to what is due next.

Several CPUs without KVM take turns in one thread. In threads of their own (tcg-threads) one of them now and
then runs an instruction that another has just patched, and the kernel panics: once in some ten boots.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SILENCE = 480  # seconds of real time without a line, after which a guest is given up, unless told
CONSOLE_END = 100  # lines of it that are shown when a guest has failed
ACCELERATORS = {"tcg": "tcg,thread=single", "tcg-threads": "tcg,thread=multi", "kvm": "kvm"}


def test_arguments(options: argparse.Namespace) -> list[str]:
    """Return what the guest's first process is told, on the kernel's command line."""
    words = ",".join(options.tests)
    if options.disk or options.share:
        return [] if options.tests == ["shell"] else [f"kronos.command={words}"]
    return [f"kronos.tests={words}"]


def command(options: argparse.Namespace, report: Path, console: Path) -> list[str]:
    """Return the command that boots the guest."""
    arguments = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    arguments += ["-kernel", str(options.kernel / "vmlinuz"), "-initrd", str(options.initramfs)]
    arguments += ["-m", options.memory, "-smp", str(options.cpus), "-accel", ACCELERATORS[options.accel]]
    # Without cx16: QEMU 7.2 corrupts flags after cmpxchg16b.
    arguments += ["-cpu", "host" if options.accel == "kvm" else "max,-cx16"]
    if options.disk:
        arguments += ["-drive", f"file={options.disk},format=raw,if=virtio,snapshot=on"]
    if options.share:
        share = "local,path=/,mount_tag=share,security_model=none,readonly=on,multidevs=remap"
        arguments += ["-virtfs", share]
    if options.icount and not options.disk and options.cpus == 1 and options.accel == "tcg":
        arguments += ["-icount", f"shift=1,sleep={'on' if options.share else 'off'}"]
    shell = options.tests == ["shell"]
    arguments += ["-serial", "mon:stdio" if shell else f"file:{console}", "-serial", f"file:{report}"]
    line = ["console=ttyS0", "panic=-1", "tsc=reliable", "nmi_watchdog=0", "nokaslr", "mitigations=off"]
    line += ["transparent_hugepage=never"]  # zeroing 2 MB takes 10 ms here, by chance or not
    line += ["loglevel=5", *test_arguments(options), *options.append.split()]
    return [*arguments, "-append", " ".join(line)]


def follow(process: subprocess.Popen[bytes], report: Path, count: int, silence: float) -> bool:
    """Print the report as it grows; return whether it ends with the success of so many tests."""
    success = False
    heard = started = time.monotonic()
    line = ""
    with report.open() as lines:
        while True:
            running = process.poll() is None
            line += lines.readline()
            if line.endswith("\n"):
                heard = time.monotonic()
                success = line == f"success {count}\n"
                print(f"{heard - started:7.1f} s  {line}", end="", flush=True)
                line = ""
            elif not running:
                return success
            elif time.monotonic() - heard > silence:
                print(f"no line for {silence} s: given up")
                process.kill()
                return False
            else:
                time.sleep(0.05)


def main() -> int:
    """Return 0 if all tests passed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernel", type=Path, required=True)
    parser.add_argument("--initramfs", type=Path, required=True)
    parser.add_argument("--disk", type=Path, help="with a file system; what is written to it is forgotten")
    parser.add_argument("--share", action="store_true", help="let it read this machine's file system")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--accel", choices=ACCELERATORS, default="tcg")
    parser.add_argument("--icount", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--silence", type=int, default=SILENCE, help="seconds without a line before it is given up"
    )
    parser.add_argument("--append", default="", help="more of the kernel's command line")
    parser.add_argument("tests", nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        report, console = Path(directory, "report"), Path(directory, "console")
        report.touch()
        arguments = command(options, report, console)
        if options.tests == ["shell"]:
            return subprocess.run(arguments, check=False).returncode
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, preexec_fn=lambda: os.nice(10))
        count = 1 if options.disk or options.share else len(options.tests)
        try:
            success = follow(process, report, count, options.silence)
        finally:
            process.kill()
            process.wait()
        if not success:
            print("--- the console's end:")
            print("\n".join(console.read_text(errors="replace").splitlines()[-CONSOLE_END:]))
        return 0 if success else 1


if __name__ == "__main__":
    sys.exit(main())
