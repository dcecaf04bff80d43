# SPDX-License-Identifier: Apache-2.0
"""A DNS cluster in network namespaces: client, router, director, real servers.

Used by the end-to-end tests, by the demo and by hand (scripts/lab). It makes
everything itself, under names that no other run has, writes down what it made
before it uses it, and removes all of it again. It touches no interface,
address or process of the machine that it runs on.
"""


from .director import Director
from .lab import Lab
from .load import Load
from .system import LabError, missing_privileges, wait_for

__all__ = ["Director", "Lab", "LabError", "Load", "missing_privileges", "wait_for"]
