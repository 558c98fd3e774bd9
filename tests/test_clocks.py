"""Clocks outside the C programs of test_programs.py: other C libraries, 32-bit programs, /proc, commands."""

import os
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


@pytest.mark.parametrize(
    ("compiler", "name"),
    [
        ("static", "waits"),
        ("static", "posix_timers"),
        ("static musl", "timerfds"),
        ("static musl", "processes"),
    ],
)
def test_waits_and_timers_of_static_programs(compiler, name, tmp_path):
    program = build(tmp_path, PROGRAMS / f"{name}.c", *COMPILERS[compiler])
    ended = run_alone([program, str(SLACK)], tmp_path)
    assert (ended.status, ended.out) == (0, "EXIT-SUCCESS\n"), ended


LINKED = ("-Wl,--no-as-needed",)  # before a library that stands before the sources


def build_library(directory, source, *flags):
    """Compile a shared library; return its path."""
    path = directory / "library.so"
    subprocess.run(["gcc", "-shared", "-fPIC", *flags, "-o", path, source], check=True, timeout=60)
    return path


CALLER = """
int library_main(int argc, char **argv);

int main(int argc, char **argv)
{
	return library_main(argc, argv);
}
"""

OPENER = """
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

static void *nothing(void *unused)
{
	return unused;
}

int main(int argc, char **argv)
{
	int (*library_main)(int, char **);
	pthread_t thread;
	void *library;

	pthread_create(&thread, NULL, nothing, NULL);
	library = dlopen("./library.so", RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\\n", dlerror());
		return 1;
	}
	library_main = (int (*)(int, char **))dlsym(library, "library_main");
	pthread_join(thread, NULL);
	return library_main(argc, argv);
}
"""


@pytest.mark.parametrize("source", [CALLER, OPENER], ids=["linked", "opened"])
def test_rdtsc_of_a_library(source, tmp_path):
    library = build_library(tmp_path, PROGRAMS / "tsc.c", "-Dmain=library_main")
    caller = tmp_path / "caller.c"
    caller.write_text(source)
    program = build(tmp_path, caller, "gcc", *((*LINKED, library) if source is CALLER else ()))
    assert (
        subprocess.run([program, str(SLACK)], cwd=tmp_path, timeout=60, capture_output=True).returncode == 0
    )
    ended = run_alone([program, str(SLACK)], tmp_path)
    assert (ended.status, ended.out) == (0, "EXIT-SUCCESS\n"), ended


TABLE = """
#include <stdio.h>
#include <string.h>

/* Not unwound, so no function: what is here is data, though it stands in code. */
__asm__(".text; table: .byte 0x0f, 0x31, 0x0f, 0x01, 0xf9; .fill 16, 1, 0x90; .previous");
extern const unsigned char table[] __attribute__((visibility("hidden")));

int library_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (__builtin_ia32_rdtsc() && memcmp(table, "\\x0f\\x31\\x0f\\x01\\xf9", 5))
		return 1;
	puts("EXIT-SUCCESS");
	return 0;
}
"""


def test_tables_in_a_library_stay_as_they_are(tmp_path):
    source, caller = tmp_path / "table.c", tmp_path / "caller.c"
    source.write_text(TABLE)
    caller.write_text(CALLER)
    program = build(tmp_path, caller, "gcc", *LINKED, build_library(tmp_path, source))
    ended = run_alone([program], tmp_path)
    assert (ended.status, ended.out) == (0, "EXIT-SUCCESS\n"), ended


STATIC_GO = """
package main

import (
	"os"
	"time"
)

func main() {
	start := time.Now()
	done := make(chan bool)
	ticker := time.NewTicker(time.Second)
	go func() {
		time.Sleep(3500 * time.Millisecond)
		done <- false
	}()
	ticks := 0
	for waits := true; waits; {
		select {
		case <-ticker.C:
			ticks++
		case waits = <-done:
		}
	}
	took := time.Since(start)
	if ticks != 3 || took < 3500*time.Millisecond || took > 3700*time.Millisecond {
		println(ticks, took)
		os.Exit(1)
	}
	println("right")
}
"""


def test_static_go_program(tmp_path):
    source, program = tmp_path / "program.go", tmp_path / "program"
    source.write_text(STATIC_GO)
    environment = {**os.environ, "GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", program, source], env=environment, check=True, timeout=300)
    assert b"/ld-linux" not in program.read_bytes()
    ended = run_alone([program], tmp_path)
    assert (ended.status, ended.out) == (0, "right\n"), ended
    assert 3.5 <= ended.seconds < 3.8


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
