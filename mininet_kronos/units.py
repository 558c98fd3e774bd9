"""Read the quantities that users write: durations, rates and percentages.

Inside the package a duration is an integer number of nanoseconds and a rate is in bit/s; this is the
one place where text becomes either.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from mininet_kronos.errors import ParameterError

SECOND = 1_000_000_000
LONGEST = 10 * 365 * 24 * 3600 * SECOND  # ns: kronos.h's KRONOS_DURATION_MAX
LARGEST = 2**31 - 1
_DURATIONS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "sec": SECOND,
    "min": 60 * SECOND,
    "h": 3600 * SECOND,
}
_RATES = {"bit": 1, "kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-zµ]*)", re.IGNORECASE)


def parse_duration(value: object, what: str = "duration") -> int:
    """Return nanoseconds for '100us', '5ms', '10s', '1.5min', or for a number of seconds (2, 0.5).

    Text needs a unit, since Mininet's own links read a bare '5' as microseconds. Raises ParameterError
    for anything else, for negative durations, for those that are too short to be told from 0, and for those
    beyond ten years, whose sums the engine could not count.
    """
    if isinstance(value, str):
        number, unit = _split(value, what, "'100us', '5ms' or '10s'")
        if unit not in _DURATIONS and number != 0:
            found = f"unknown unit '{unit}'" if unit else "it has no unit"
            raise ParameterError(f"{what} '{value}': {found}; write for example '100us', '5ms' or '10s'")
        exact = number * _DURATIONS.get(unit, 1)
    else:
        exact = _number(value, what, "'5ms', or a number of seconds") * SECOND
    if exact < 0:
        raise ParameterError(f"{what} {value!r} is negative; it must be 0 or more")
    if exact > LONGEST:
        raise ParameterError(f"{what} {value!r} is longer than ten years; use at most '87600h'")
    nanoseconds = round(exact)
    if exact > 0 and nanoseconds == 0:
        raise ParameterError(f"{what} {value!r} is shorter than a nanosecond; use at least '1ns'")
    return nanoseconds


def parse_delay(value: object, what: str = "delay") -> int:
    """Return nanoseconds for a link's delay or jitter: as parse_duration(), but numbers need a unit too."""
    if value is None:
        return 0
    if not isinstance(value, str) and value != 0:
        raise ParameterError(f"{what} {value!r} has no unit; write for example '{value}ms' or '{value}us'")
    return parse_duration(value, what)


def parse_bandwidth(value: object, what: str = "bw") -> float:
    """Return bit/s for a number of Mbit/s (as Mininet's bw) or for text such as '500kbit', '1Gbit'.

    None means unlimited and gives 0. Raises ParameterError if the rate is not positive.
    """
    if value is None:
        return 0.0
    wanted = "a number of Mbit/s, '500kbit' or '1Gbit'"
    if isinstance(value, str):
        number, unit = _split(value, what, wanted)
        unit = unit.lower()
        if unit and unit not in _RATES:
            raise ParameterError(f"{what} '{value}': unknown unit '{unit}'; write {wanted}")
        rate = float(number * _RATES[unit or "mbit"])
    else:
        rate = float(_number(value, what, wanted)) * 1e6
    if rate <= 0:
        raise ParameterError(f"{what} {value!r} must be more than 0 Mbit/s; leave it out for no limit")
    if rate < 1:
        raise ParameterError(f"{what} {value!r} is below 1 bit/s; use at least '1bit'")
    return rate


def parse_percentage(value: object, what: str = "loss") -> float:
    """Return a probability 0..1 for a percentage 0..100; None gives 0."""
    if value is None:
        return 0.0
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
    percent = float(_number(value, what, "a percentage from 0 to 100"))
    if not 0 <= percent <= 100:
        raise ParameterError(f"{what} {value} is out of range; it is a percentage from 0 to 100")
    return percent / 100


def parse_count(value: object, what: str, least: int = 1, most: int = LARGEST) -> int:
    """Return a whole number from `least` to `most`; raise ParameterError for anything else."""
    number = _number(value, what, f"a whole number from {least}")
    if number != int(number) or number < least:
        raise ParameterError(f"{what} {value!r} must be a whole number from {least}")
    if number > most:
        raise ParameterError(f"{what} {value!r} is too large; use at most {most}")
    return int(number)


def parse_flag(value: object, what: str) -> bool:
    """Return whether an option is on: a bool, None or a number, or text as mn's command line gives it."""
    text = str(value or "no").strip().lower()
    if text in ("0", "no", "false", "off"):
        return False
    if text in ("1", "yes", "true", "on"):
        return True
    raise ParameterError(f"{what} {value!r} is not understood; write True or False")


def format_duration(nanoseconds: int) -> str:
    """Return a duration as people write it, with all its digits: '1.5 s', '100 us'."""
    for unit, size in (("s", SECOND), ("ms", 1_000_000), ("us", 1_000)):
        if abs(nanoseconds) >= size:
            return f"{Decimal(nanoseconds) / size:f} {unit}"
    return f"{nanoseconds} ns"


def _split(text: str, what: str, wanted: str) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(text.strip())
    if not match:
        raise ParameterError(f"{what} '{text}' is not understood; write {wanted}")
    return Decimal(match[1]), match[2]


def _number(value: object, what: str, wanted: str) -> Decimal:
    """Return a finite number exactly as its digits are written."""
    if not isinstance(value, bool):
        try:
            number = float(value)  # type: ignore[arg-type]
            if math.isfinite(number):
                return Decimal(str(value).strip())
        except (TypeError, ValueError, ArithmeticError):
            pass
    raise ParameterError(f"{what} {value!r} is not understood; write {wanted}")
