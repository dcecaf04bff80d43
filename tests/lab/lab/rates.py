# SPDX-License-Identifier: Apache-2.0
"""What a slow machine bears without a director, and what part of it loads have with one."""

from . import plan
from .load import FULL_RATE, set_full_rate_here
from .system import SLOWNESS, LabError

# Queries a second, up to twice what a full load is anywhere. The first that fails twice ends
# the search: seconds, not a benchmark.
STEPS = (500, 1000, 1500, 2000, 3000, 4500, 6500, 2 * FULL_RATE)
SECONDS = 1.0
# Beyond this a queue grows: it would lose queries if the load went on.
LONGEST_P90_US = 100_000

_borne = 0  # by measure()


def measure(lab, name: str) -> str:
    """Finds the highest of STEPS that the machine bears from the client to this server,
    past the director; LabError where it does not bear the first. Returns a line that says so."""
    global _borne
    _borne = borne(lab, name, SECONDS)
    return (f"rate: {_borne} queries a second are borne without a director "
            f"(client to {name}, UDP); full loads send {part(False):g}, under xdp {part(True):g}")


def borne(lab, name: str, seconds: float) -> int:
    """The highest of STEPS that the machine bears for so long; LabError if not the first."""
    found = 0
    for rate in STEPS:
        if not any(_bears(lab, name, rate, seconds) for _ in range(2)):
            break
        found = rate
    if found == 0:
        raise LabError(f"the machine loses queries without a director at {STEPS[0]} a second")
    return found


def part(xdp: bool) -> float:
    """What a full load sends: half of what is borne, a quarter under native XDP, for which
    veth copies every frame into a page of its own, twice on its way. Never more than
    FULL_RATE / SLOWNESS: what is borne in a calm second is not borne while others use the
    machine, and losses are to be the director's."""
    return min(_borne / (4 if xdp else 2), FULL_RATE / SLOWNESS)


def use(xdp: bool):
    """From now on full loads have their part."""
    set_full_rate_here(part(xdp))


def _bears(lab, name: str, rate: int, seconds: float) -> bool:
    """All answered, the sender in time, and no queue that grows."""
    result = lab.load(plan.server_v4(int(name[1:])), own_rate=rate,
                      count=int(rate * seconds)).start().finish()
    return (result.failed == 0 and result.sending_ms <= 1.05 * 1000 * seconds
            and result.rtt_us["p90"] <= LONGEST_P90_US)
