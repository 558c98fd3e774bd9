"""The Open vSwitch that a net's instant switches share: one logical process."""

from __future__ import annotations

import os

from mininet_kronos.experiment import FIRST_CPU
from mininet_kronos.ovs import PrivateOVS
from mininet_kronos.pump import Pump
from mininet_kronos.switch import PROCESS, report_trouble


class SharedOVS:
    """Started when a switch first needs it; until stop() the environment leads ovs-vsctl to it."""

    def __init__(self, pump: Pump) -> None:
        self.ovs: PrivateOVS | None = None  # while it runs
        self._pump = pump
        self._environment: dict[str, str | None] = {}  # as it was

    def require(self, datapath: str) -> PrivateOVS:
        """Return it, with this kind of datapath; errors: MissingProgramError, SwitchError."""
        ovs = self.ovs or self._start()
        if datapath == "kernel":
            ovs.use_kernel_datapath()
        return ovs

    def _start(self) -> PrivateOVS:
        experiment = self._pump.experiment
        experiment.add_host(PROCESS, pace="instant", place=FIRST_CPU)
        self.ovs = ovs = PrivateOVS(experiment.command_prefix(PROCESS))
        ovs.start()
        experiment.on_abort(ovs.cleanup_command)
        self._environment = {name: os.environ.get(name) for name in ovs.env}
        os.environ.update(ovs.env)
        report_trouble(self._pump, "the switches'", ovs)
        return ovs

    def stop(self) -> None:
        """End it, and give the environment back."""
        for name, value in self._environment.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if self.ovs:
            self.ovs.stop()
