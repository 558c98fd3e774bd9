"""Clocks outside the C programs of test_programs.py: other C libraries, 32-bit programs, /proc, commands."""

import subprocess
from pathlib import Path

import pytest

from tests.dilated import run_alone

PROGRAMS = Path(__file__).parent / "programs"
COMPILERS = {
    "static": ("gcc", "-static"),
    "musl": ("musl-gcc",),
    "static musl": ("musl-gcc", "-static"),
}
SLACK = 5_000_000  # ns: see test_programs.py


def build(directory, source, *command):
    """Compile or assemble a source; return the program's path."""
    path = directory / "program"
    subprocess.run([*command, "-o", path, source], check=True, timeout=60)
    return path


@pytest.mark.parametrize("name", ["clocks", "clock_ids"])
@pytest.mark.parametrize("compiler", COMPILERS.values(), ids=COMPILERS)
def test_programs_of_other_c_libraries(compiler, name, tmp_path):
    program = build(tmp_path, PROGRAMS / f"{name}.c", *compiler)
    ended = run_alone([program, str(SLACK)], tmp_path)
    assert (ended.status, ended.out) == (0, "EXIT-SUCCESS\n"), ended


EXIT_32 = """
    .globl _start
_start:
    mov $1, %eax
    mov $7, %ebx
    int $0x80
"""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--32", "-melf_i386"), "is a 32-bit program, which cannot be dilated; ended"),
        (("--64", "-melf_x86_64"), "calls the kernel as 32-bit programs do, which cannot be dilated; ended"),
    ],
    ids=["32-bit program", "int 0x80"],
)
def test_32_bit_programs_are_refused(flags, said, tmp_path, capfd):
    source, binary = tmp_path / "exit.s", tmp_path / "exit.o"
    source.write_text(EXIT_32)
    subprocess.run(["as", flags[0], "-o", binary, source], check=True)
    program = build(tmp_path, binary, "ld", flags[1])
    assert run_alone([program], tmp_path).status == -9
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line and "Fix: " in line and "h1" in line
