"""The source distribution and the wheel: what they hold, and that they work without Mininet."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
HOOKS = "import sys, setuptools.build_meta as hooks; print(hooks.build_{what}(sys.argv[1]))"


def build(what: str, source: Path, target: Path) -> Path:
    """Call setuptools as pip does, but with what is installed here: nothing is downloaded."""
    command = [sys.executable, "-c", HOOKS.format(what=what), str(target)]
    run = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
    return target / run.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Build from a copy of what Git knows, or of everything if this is no checkout."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True)
    if listed.returncode:
        pytest.skip("this is no Git checkout")
    pack = ["tar", "--null", "--files-from=-", "-c"]
    packed = subprocess.run(pack, cwd=TOP, input=listed.stdout, capture_output=True, check=True)
    subprocess.run(["tar", "-x"], cwd=source, input=packed.stdout, check=True)
    return build("sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    target = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["tar", "-xf", str(sdist)], cwd=target, check=True)
    (tree,) = target.iterdir()
    return tree


@pytest.fixture(scope="module")
def installed(unpacked, tmp_path_factory):
    """Give a new environment, without any other package, with the wheel of the source distribution."""
    wheel = build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(environment), "--disable-pip-version-check"]
    command = [*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    return environment


def run(environment: Path, *command: str):
    path = str(environment / "bin" / command[0])
    return subprocess.run([path, *command[1:]], cwd="/", capture_output=True, text=True, timeout=60)


def test_the_source_distribution_is_the_whole_project(unpacked):
    for name in ("README.md", "Makefile", "Vagrantfile", "mkdocs.yml", "docs/index.md", "tracer/Makefile",
                 "kernel_module/dkms.conf", "topologies", "tests/conftest.py", "benchmarks/__main__.py",
                 "mininet_kronos/runs/report.html", "scripts/system-packages.sh"):  # fmt: skip
        assert (unpacked / name).exists(), name
    assert not (unpacked / "tracer" / "build").exists()


def test_the_wheel_needs_neither_mininet_nor_a_compiler(installed):
    version = (TOP / "VERSION").read_text(encoding="ascii").strip()
    found = run(installed, "python", "-c", "import mininet_kronos as k; print(k.__version__)")
    assert found.stdout.strip() == version, found.stderr


def test_without_mininet_one_line_says_what_to_install(installed):
    found = run(installed, "python", "-c", "from mininet_kronos import KronosNet")
    assert found.returncode != 0
    assert "apt-get install mininet" in found.stderr.splitlines()[-1]


def test_mn_without_mininet_is_one_line_as_well(installed):
    found = run(installed, "kronos", "mn", "--test", "none")
    assert found.returncode == 1
    assert found.stderr.startswith("kronos: Mininet is not installed for ")
    assert found.stderr.count("\n") == 1


def test_the_c_parts_are_installed(installed):
    usage = run(installed, "tracer", "--help")
    assert usage.returncode == 0 and "-c" in usage.stdout + usage.stderr
    for name in ("bin/kronos", "bin/kronos-engine", "bin/kronos-kernel-engine", "include/kronos.h",
                 "include/Kronos_functions.h", "lib/libkronosapi.so", "lib/libkronosapi.a"):  # fmt: skip
        assert (installed / name).is_file(), name
    script = "import kronos_functions, ctypes, sys; ctypes.CDLL(sys.argv[1])"
    loaded = run(installed, "python", "-c", script, str(installed / "lib" / "libkronosapi.so"))
    assert loaded.returncode == 0, loaded.stderr
