"""Build the C parts with make and install them together with the Python package."""

from __future__ import annotations

import subprocess
from pathlib import Path

from setuptools import Command, Distribution, find_packages, setup
from setuptools.command.build import build

NATIVE = ("libkronos.so", "libkronosapi.so", "kronos-engine", "kronos-kernel-engine", "tracer")
NATIVE_BUILD = "tracer/build"


class BuildNative(Command):
    """Run make in tracer/ and put its products into mininet_kronos/native/."""

    description = "build the C parts (libkronos, the engine, the tracer)"
    user_options: list[tuple[str, str | None, str]] = []
    editable_mode = False  # set by setuptools

    def initialize_options(self) -> None:
        """Leave the target open until the other commands have their options."""
        self.build_lib: str | None = None

    def finalize_options(self) -> None:
        """Use the directory in which build_py collects the package."""
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        """Build, then copy: into the source tree when the installation is editable."""
        subprocess.run(["make", "--no-print-directory", "-C", "tracer"], check=True)
        top = "." if self.editable_mode else str(self.build_lib)
        target = Path(top, "mininet_kronos", "native")
        self.mkpath(str(target))
        for name in NATIVE:
            # A rename leaves those that run now with the file that they have.
            new = target / f"{name}.new"
            self.copy_file(f"{NATIVE_BUILD}/{name}", str(new))
            new.replace(target / name)


class BuildWithNative(build):
    """build, with the C parts first."""

    sub_commands = [("build_native", None), *build.sub_commands]


class NativeDistribution(Distribution):
    """A distribution whose wheels are for one machine type."""

    def has_ext_modules(self) -> bool:
        """Say that there is machine code in the package."""
        return True

    def has_data(self) -> bool:
        """Say that there are data_files; without this an editable installation leaves them out."""
        return bool(self.data_files)


setup(
    name="mininet_kronos",
    version=Path("VERSION").read_text(encoding="ascii").strip(),
    description="Mininet in virtual time: whole emulated networks, stepped with their SDN controller",
    license="MIT",
    python_requires=">=3.9",
    packages=find_packages(include=["mininet_kronos", "mininet_kronos.*", "kronos_functions"]),
    data_files=[  # for programs in C, and for scripts of Kronos
        (
            "bin",
            [
                f"{NATIVE_BUILD}/tracer",
                f"{NATIVE_BUILD}/kronos-engine",
                f"{NATIVE_BUILD}/kronos-kernel-engine",
            ],
        ),
        ("include", ["tracer/include/kronos.h", "tracer/include/Kronos_functions.h"]),
        ("lib", [f"{NATIVE_BUILD}/{name}" for name in ("libkronos.so", "libkronosapi.so", "libkronosapi.a")]),
    ],
    package_data={"mininet_kronos": ["runs/*.html"]},
    install_requires=["rich", "shtab"],
    extras_require={"report": ["jinja2", "matplotlib", "networkx"], "ryu": ["ryu==4.34", "eventlet"]},
    entry_points={
        "console_scripts": ["kronos = mininet_kronos.__main__:main"],
        "pytest11": ["kronos = mininet_kronos.pytest_plugin"],
    },
    cmdclass={"build": BuildWithNative, "build_native": BuildNative},
    distclass=NativeDistribution,
)
