"""Planted bugs: typical mistakes, each as one other part of a world. The simulation must find every one."""

from __future__ import annotations

from collections.abc import Mapping

from tests.simulation.hub_bugs import HUB_BUGS
from tests.simulation.machine_bugs import MACHINE_BUGS
from tests.simulation.rules import Rules

BUGS: Mapping[str, Rules] = {**MACHINE_BUGS, **HUB_BUGS}
