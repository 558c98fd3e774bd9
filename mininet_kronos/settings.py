"""What `kronos run` sets for every network of a script, whatever the script itself says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Settings:
    """Parameters of KronosNet and of its hosts; None: as the script says."""

    engine: str | None = None
    timestep: str | None = None
    seed: int | None = None
    epoch: float | None = None
    cpus: int | None = None
    sample: str | None = None
    cpu_speed: float | None = None
    counter: str | None = None
    capture: list[str] = field(default_factory=list)  # interfaces, or "all"
    out: Path | None = None
    progress: bool = False  # whether to say on stderr how a run gets on
    outs: list[Path] = field(default_factory=list)  # directories of the networks so far

    def choose(self, name: str, script: Any) -> Any:
        """Return what was set for a parameter, or what the script says."""
        wanted = getattr(self, name)
        return script if wanted is None else wanted

    def host_params(self) -> dict[str, Any]:
        """Return what is set for hosts."""
        wanted = {"cpu_speed": self.cpu_speed, "counter": self.counter}
        return {name: value for name, value in wanted.items() if value is not None}

    def next_out(self) -> Path | None:
        """Return the directory of the next network: a script's second one has its own beside the first's."""
        if self.out is None:
            return None
        number = len(self.outs) + 1
        self.outs.append(self.out if number == 1 else self.out.with_name(f"{self.out.name}-{number}"))
        return self.outs[-1]


_given = Settings()


def given() -> Settings:
    """Return what was set."""
    return _given


def give(settings: Settings) -> None:
    """Set it for the networks to come."""
    global _given
    _given = settings
