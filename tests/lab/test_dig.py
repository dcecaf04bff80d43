# SPDX-License-Identifier: Apache-2.0
"""Dig lines without dig end as dig itself ends, whatever a server does to them."""

import json
import os
import sys

from lab.director import REPOSITORY, binary
from lab.system import run

TABLE = os.path.join(REPOSITORY, "tests", "lab", "tools", "dig_table.py")


def test_every_cell_has_digs_exit_status(can_direct):
    done = run("unshare", "--net", sys.executable, TABLE, binary(), timeout=300)
    result = json.loads(done.stdout)
    assert result["differing"] == [], "line, behaviour, dig's exit status, ours"
    # 46 lines over IPv4, 4 over IPv6 × 16 behaviours, and what only dig tells apart.
    assert result["cells"] >= 50 * 16 + 100
    assert result["statuses"] == [0, 1, 9]
