# SPDX-License-Identifier: Apache-2.0
"""What the verifiers of old kernels want of bpf/, and no kernel here would say."""

import re
from pathlib import Path

BPF = Path(__file__).resolve().parents[2] / "bpf"


def test_loops_count_in_64_bits():
    # Before 5.16 four bytes that were in memory are forgotten: "infinite loop detected".
    short = [f"{path.name}: {line.strip()}" for path in sorted(BPF.glob("*.h"))
             for line in path.read_text(encoding="utf-8").splitlines()
             if re.search(r"\bfor \((?!__[us]64 )\w+ \w+ =", line)]
    assert short == []
