"""An Open vSwitch of one net's own: two daemons in a run directory, which end with the net.

It needs no service, and no kernel module unless a bridge uses the kernel's datapath, and leaves the system's
Open vSwitch and its database alone. Each daemon is started behind an argv prefix: a tracer's puts it in
virtual time, none leaves it in real time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from mininet_kronos.errors import MissingProgramError, SwitchError

RUN_DIRECTORY = Path("/run/kronos")
PROGRAMS = ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl")
SCHEMA_DIRECTORIES = (
    os.environ.get("OVS_PKGDATADIR", "/usr/share/openvswitch"),
    "/usr/local/share/openvswitch",
)
DEVICE_GROUP = 0x6B726F6E  # of devices that are about to be removed
NAMESPACE_MARK = "namespace"  # in a run directory: the devices go with a namespace
RUN_PREFIX = "ovs-"  # of a run directory: then the orchestrator's pid
USERSPACE_DATAPATH = "ovs-netdev"  # its TAP device, one per network namespace
KERNEL_DATAPATH = "ovs-system"  # likewise
KERNEL_MARK = "kernel-datapath"  # in a run directory: the kernel's datapath of this namespace is its own
INTERNAL_PORTS = """["Open_vSwitch", {"op": "select", "table": "Interface", "columns": ["name"],
 "where": [["type", "==", "internal"]]}]"""
SETTINGS = ("n-handler-threads=1", "n-revalidator-threads=1")
VERBOSITY = ("-vconsole:emer", "-vsyslog:off", "-vfile:info")
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # <linux/if_tun.h>
POLL_INTERVAL = 0.01  # s
KILL_TIMEOUT = 60.0  # s: with many switches it closes a socket for each port, slowly


class PrivateOVS:
    """ovsdb-server and ovs-vswitchd in a run directory; ovs-vsctl and the like find them through env.

    One at a time: the userspace datapath owns the interface `ovs-netdev`, of which there is one per network
    namespace.
    """

    def __init__(self, prefix: Sequence[str] = (), namespace: int | None = None) -> None:
        """Start nothing yet.

        prefix: what comes before each daemon's own command, such as a tracer's; [] is real time
        namespace: a process in whose network namespace, made for this, they are to run (None: in ours)
        """
        self.prefix = [*(["mnexec", "-a", str(namespace)] if namespace else []), *prefix]
        self.namespace = namespace
        self._log_read = 0  # bytes of ovs-vswitchd's log
        self._connected: dict[str, set[str]] = {}  # controllers, by switch
        self._unanswered: list[tuple[str, str]] = []
        self.directory: Path | None = None
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def env(self) -> dict[str, str]:
        """The variables by which ovs-vsctl, ovs-ofctl and ovs-appctl find these daemons."""
        directory = str(self._require_directory())
        return {"OVS_RUNDIR": directory, "OVS_LOGDIR": directory, "OVS_DBDIR": directory}

    @property
    def cleanup_command(self) -> str:
        """A shell command that removes all that is left of this if nobody calls stop()."""
        return cleanup_command(self._require_directory())

    @property
    def pid(self) -> int:
        """ovs-vswitchd's process id."""
        return self.processes["ovs-vswitchd"].pid

    def start(self, timeout: float = 60.0) -> None:
        """Start both daemons and wait until they answer.

        timeout: seconds of real time. Raises MissingProgramError, SwitchError.
        """
        schema = find_schema()
        if not self.namespace and is_attached(USERSPACE_DATAPATH):
            raise SwitchError(
                f"another Open vSwitch has the userspace datapath (interface {USERSPACE_DATAPATH}); "
                "end it first; `kronos clean` does so if a net left it behind"
            )
        self.directory = make_run_directory()
        if self.namespace:
            (self.directory / NAMESPACE_MARK).touch()
        try:
            database = self.directory / "conf.db"
            self._command("ovsdb-tool", "create", str(database), str(schema))
            socket = self.directory / "db.sock"
            self._launch("ovsdb-server", f"--remote=punix:{socket}", str(database))
            deadline = time.monotonic() + timeout
            while not socket.exists():
                self._check("ovsdb-server", deadline)
            settings = [f"other_config:{setting}" for setting in SETTINGS]
            self._command("ovs-vsctl", "--no-wait", "set", "Open_vSwitch", ".", *settings, timeout=timeout)
            self._launch("ovs-vswitchd", f"unix:{socket}")
            self.wait_ready(deadline - time.monotonic())
        except BaseException:
            self.stop()
            raise

    def use_kernel_datapath(self) -> None:
        """Let bridges have the kernel's datapath, of which there is one per network namespace.

        Raises SwitchError if the kernel has none, or another Open vSwitch has it.
        """
        mark = self._require_directory() / KERNEL_MARK
        if mark.exists():
            return
        if not Path("/sys/module/openvswitch").exists():
            raise SwitchError(
                "this kernel has no Open vSwitch datapath; modprobe openvswitch, or use datapath='user'"
            )
        if not self.namespace and Path("/sys/class/net", KERNEL_DATAPATH).exists():
            raise SwitchError(
                f"another Open vSwitch has the kernel's datapath (interface {KERNEL_DATAPATH}); "
                "end it first, or use datapath='user'"
            )
        mark.touch()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until ovs-vswitchd has done all that the database asks; raise SwitchError if it does not.

        timeout: seconds of real time.
        """
        deadline = time.monotonic() + timeout
        # Each such command asks ovs-vswitchd to catch up, and waits for it.
        catch_up = ["ovs-vsctl", "--timeout=1", "set", "Open_vSwitch", ".", "external_ids:system-id=kronos"]
        environment = {**os.environ, **self.env}
        while subprocess.run(catch_up, env=environment, capture_output=True, check=False).returncode:
            self._check("ovs-vswitchd", deadline)

    def connections(self, switch: str) -> int:
        """Return how many controllers a switch is connected to: the database tells of them 5 s later."""
        self._read_log()
        return len(self._connected.get(switch, ()))

    def unanswered(self) -> list[tuple[str, str]]:
        """Return switches, and their controllers that have stopped answering, since this was called last."""
        self._read_log()
        found, self._unanswered = self._unanswered, []
        return found

    def _read_log(self) -> None:
        """Note what ovs-vswitchd has logged of controllers since the last time."""
        if self.directory is None:
            return
        with (self.directory / "ovs-vswitchd.log").open(errors="replace") as log:
            log.seek(self._log_read)
            said = log.read()
            self._log_read = log.tell()
        for switch, controller, event in re.findall(r"\|([^|\s]+)<->(\S+): (.*)", said):
            connected = self._connected.setdefault(switch, set())
            (connected.add if event == "connected" else connected.discard)(controller)
            if event.startswith("no response to inactivity probe"):
                self._unanswered.append((switch, controller))

    def stop(self) -> None:
        """End the daemons and remove the run directory. Does nothing the second time."""
        for process in self.processes.values():
            process.kill()
            process.wait(KILL_TIMEOUT)
        self.processes.clear()
        if self.directory:
            run_cleanup(self.directory)
            self.directory = None

    def _require_directory(self) -> Path:
        if self.directory is None:
            raise SwitchError("the net's Open vSwitch is not running; call start() first")
        return self.directory

    def _launch(self, name: str, *arguments: str) -> None:
        """Start a daemon as our child, in the foreground, away from our terminal's Ctrl-C."""
        directory = self._require_directory()
        files = [f"--pidfile={directory / name}.pid", f"--log-file={directory / name}.log"]
        with (directory / f"{name}.err").open("wb") as errors:
            self.processes[name] = subprocess.Popen(
                [*self.prefix, name, "--no-chdir", *files, *VERBOSITY, *arguments],
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

    def _command(self, *command: str, timeout: float = 60.0) -> None:
        """Run one of Open vSwitch's tools to its end, in real time."""
        environment = {**os.environ, **self.env}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise SwitchError(
                f"{command[0]} has no answer after {timeout:g} s; is the machine overloaded?"
            ) from None
        if done.returncode:
            raise SwitchError(f"{shlex.join(command)} failed: {last_line(done.stderr)}")

    def _check(self, name: str, deadline: float) -> None:
        """Raise SwitchError if a daemon has ended or the deadline is over; else wait a little."""
        status = self.processes[name].poll()
        if status is not None:
            raise SwitchError(f"{name} ended with status {status}: {self.last_words(name)}")
        if time.monotonic() > deadline:
            raise SwitchError(f"{name} does not answer in time: {self.last_words(name)}")
        time.sleep(POLL_INTERVAL)

    def last_words(self, name: str = "ovs-vswitchd") -> str:
        """Return the last line that a daemon has written."""
        directory = self._require_directory()
        for kind in "err", "log":
            path = directory / f"{name}.{kind}"
            if path.exists() and path.stat().st_size:
                return last_line(path.read_text(errors="replace"))
        return last_line("")


def find_schema() -> Path:
    """Return the database's schema; raise MissingProgramError if Open vSwitch is not installed."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    schemas = [Path(directory, "vswitch.ovsschema") for directory in SCHEMA_DIRECTORIES]
    found = [schema for schema in schemas if schema.exists()]
    if missing or not found:
        what = missing[0] if missing else schemas[0].name
        raise MissingProgramError(f"{what} is not installed; run: apt-get install openvswitch-switch")
    return found[0]


def make_run_directory() -> Path:
    """Return a new directory below /run/kronos."""
    RUN_DIRECTORY.mkdir(mode=0o755, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{os.getpid()}-", dir=RUN_DIRECTORY))


def cleanup_command(directory: Path) -> str:
    """Return a shell command that ends the daemons of a run directory and removes what they leave.

    A pid counts only if its command line still names the directory. The userspace datapath and every bridge's
    own port are persistent TAP devices, which outlive the daemons; many at once are removed as fast as one.
    Somebody else may be about the same, such as the engine of an orchestrator that was killed.
    """
    where = shlex.quote(str(directory))
    query = f"ovsdb-tool query {where}/conf.db {shlex.quote(INTERNAL_PORTS)} 2>/dev/null"
    return (
        f"for f in {where}/*.pid; do p=$(cat $f 2>/dev/null) && "
        f"grep -qF {where} /proc/$p/cmdline 2>/dev/null && kill -9 $p 2>/dev/null; done; "
        f"[ -e {where}/{NAMESPACE_MARK} ] || "
        f'for i in {USERSPACE_DATAPATH} $({query} | grep -o \'"name":"[^"]*\' | cut -d\'"\' -f4); do '
        f"[ ! -e /sys/class/net/$i/tun_flags ] || ! ip link set $i group {DEVICE_GROUP} 2>/dev/null || "
        f"any=1; done; [ -z $any ] || ip link delete group {DEVICE_GROUP} 2>/dev/null; "
        f"[ ! -e {where}/{KERNEL_MARK} ] || [ ! -e /sys/class/net/{KERNEL_DATAPATH} ] || "
        f"[ -e {where}/{NAMESPACE_MARK} ] || ovs-dpctl del-dp {KERNEL_DATAPATH}; rm -rf {where}"
    )


def run_cleanup(directory: Path) -> None:
    """Run a run directory's clean-up command; raise SwitchError if it cannot."""
    done = subprocess.run(
        ["sh", "-c", cleanup_command(directory)], capture_output=True, text=True, check=False
    )
    if done.returncode or done.stderr:
        raise SwitchError(f"cannot clean up after Open vSwitch: {last_line(done.stderr)}")


def remove_interfaces(names: Iterable[str]) -> None:
    """Remove interfaces of this network namespace, those that are there: many as fast as one."""
    found = [name for name in names if Path("/sys/class/net", name).exists()]
    if found:
        marks = "".join(f"link set {name} group {DEVICE_GROUP}\n" for name in found)
        subprocess.run(
            ["ip", "-force", "-batch", "-"], input=marks, text=True, capture_output=True, check=False
        )
        subprocess.run(["ip", "link", "delete", "group", str(DEVICE_GROUP)], capture_output=True, check=False)


def clean_left_behind() -> list[Path]:
    """Clean up after every PrivateOVS whose orchestrator is gone; return their run directories."""
    removed = []
    for directory in RUN_DIRECTORY.glob(f"{RUN_PREFIX}*-*"):
        pid = directory.name[len(RUN_PREFIX) :].partition("-")[0]
        if not Path("/proc", pid).exists():
            run_cleanup(directory)
            removed.append(directory)
    return removed


def is_attached(interface: str) -> bool:
    """Tell whether a program holds a TAP device; one that is left over counts as free."""
    if not Path("/sys/class/net", interface).exists():
        return False
    with Path("/dev/net/tun").open("r+b", buffering=0) as tun:
        request = struct.pack("16sH22x", interface.encode(), IFF_TAP | IFF_NO_PI)
        try:
            fcntl.ioctl(tun, TUNSETIFF, request)
        except OSError as problem:
            return problem.errno == errno.EBUSY
    return False


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it has said nothing"
