# SPDX-License-Identifier: Apache-2.0
"""No text makes the parser crash, hang, or take more than 64 MB.

Sanitizers and libFuzzer keep megabytes of their own, so the fuzzer cannot show the
last of these. Here the built binary reads the corpus, texts that try to grow without
end, and mutations of the corpus (the same ones each time), with RLIMIT_DATA at 64 MB:
every private writable page counts, and what is refused ends the process by a signal.
"""

import os
import random
import resource
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("DNSDIRECTOR", ROOT / "build/release/dnsdirector"))
CORPUS = sorted((ROOT / "tests" / "config").glob("*.conf"))
MOST_MEMORY = 64 << 20
MOST_SECONDS = 30  # without optimisation on a busy machine; it is well below a second

pytestmark = pytest.mark.skipif(not BINARY.exists(), reason=f"{BINARY} is not built")

DOUBLING = "".join(f"${chr(c)}=${{{chr(c + 1)}}}${{{chr(c + 1)}}}\n" for c in range(65, 90))
LINES = "".join(f"${chr(c)}= \\\n${chr(c + 1)} \\\n${chr(c + 1)}\n" for c in range(65, 90))
BOMBS = {
    "sequence": "~SEQ(A, 1, 1000000000000) x\n",
    "sequence_of_definitions": "~SEQ(A, 1, 1000000000000) $B=1\n",
    "nested_sequences": "~SEQ(A,1,9999) ~SEQ(B,1,9999) ~SEQ(C,1,9999) x${A}${B}${C}\n",
    "doubling": DOUBLING + "$Z=12345678\nx ${A}\n",
    "doubling_of_nothing": DOUBLING + "$Z=\nx ${A}\n",
    "doubling_of_lines": LINES + "$Z=x\n$A\n",
    "blocks": "$A=" + "a{}" * 5000 + "\n~SEQ(N, 1, 100000) $A\n",
    "servers": "virtual_server 192.0.2.1 53 {\n"
               "~SEQ(N, 1, 100000) real_server 203.0.113.1 ${N} { }\n}\n",
    "most_servers": "director { dataplane none }\ndns_cluster c {\nservice_ip 192.0.2.1\n"
                    "~SEQ(A, 0, 100) ~SEQ(B, 1, 250) "
                    "real_server s${A}.${B} { address 10.0.${A}.${B} }\n}\n",
    "most_services": "director { dataplane none }\n~SEQ(A, 0, 100) ~SEQ(B, 1, 250) "
                     "dns_cluster c${A}.${B} { service_ip 10.0.${A}.${B}; real_server s "
                     "{ address 10.1.0.1 } }\n",
    "nesting": "a {" * 100000,
    "braces": "include " + "{a,b}" * 3000 + "\n",
    "include_itself": "include *\n",
    "long_line": "x" * 1000000,
    "many_words": "x " * 60000,
    "many_lines": "x\n" * 60000,
    "many_errors": "x y z\n" * 500000,
    "many_blocks_of_errors": "x y {\nz\n}\n" * 100000,
    "many_lines_of_a_definition": "$A= \\\n" + "foo bar \\\n" * 300000 + "\n$A\n",
    "many_definitions": "".join(f"$A{n}=x\n" for n in range(300000)),
    "dollars": "$" * 60000 + "\n" + "${" * 60000,
}


def limit():
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def check_config(path):
    return subprocess.run([BINARY, "check-config", "--plain", "-f", path], preexec_fn=limit,
                          capture_output=True, timeout=MOST_SECONDS)


def hold(path, what):
    done = check_config(path)
    assert done.returncode in (0, 1), f"{what}: {done.returncode}: {done.stderr[-500:]}"
    return done


def test_the_limit_is_one(tmp_path):
    """A block that is simply large is not held to it, and shows that it bites."""
    large = tmp_path / "large.conf"
    large.write_text("virtual_server 192.0.2.53 53 {\n" + "x y z\n" * 2000000 + "}\n")
    assert check_config(large).returncode not in (0, 1)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_stays_within(path):
    hold(path, path.name)


@pytest.mark.parametrize("name", BOMBS)
def test_what_grows_ends(name, tmp_path):
    path = tmp_path / "bomb.conf"
    path.write_text(BOMBS[name])
    hold(path, name)


def mutated(text, other, chance):
    """A few cuts, repetitions and swaps of pieces, some of them from another file."""
    for _ in range(chance.randint(1, 6)):
        a, b = sorted(chance.randint(0, len(text)) for _ in range(2))
        piece = text[a:min(b, a + 200)]
        at = chance.randint(0, len(text))
        start = chance.randint(0, len(other))
        text = chance.choice([
            lambda: text[:a] + text[b:],
            lambda: text[:at] + piece + text[at:],
            lambda: text[:at] + other[start:start + chance.randint(1, 80)] + text[at:],
            lambda: text[:at] + chance.choice("{}$@~#!\"'\\\n;()=") + text[at:],
            lambda: text[:at] + bytes([chance.randint(0, 255)]).decode("latin-1") + text[at:],
        ])()
    return text


def test_mutations_stay_within(tmp_path):
    chance = random.Random(4)
    texts = [path.read_text() for path in CORPUS]
    texts = [text for text in texts if len(text) < 20000] + list(BOMBS.values())[:6]
    path = tmp_path / "mutation.conf"
    for number in range(300):
        text = mutated(chance.choice(texts), chance.choice(texts), chance)
        path.write_text(text, encoding="latin-1")
        hold(path, f"mutation {number}: {text[:2000]!r}")
