# SPDX-License-Identifier: Apache-2.0
"""check-config, convert and also-notify from the shell, with the DNS servers' own checkers."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("DNSDIRECTOR", ROOT / "build/release/dnsdirector"))

pytestmark = pytest.mark.skipif(not BINARY.exists(), reason=f"{BINARY} is not built")

AUTHORITATIVE = """
director { interface eth0 }
dns_cluster auth {
    service_ip 192.0.2.53 2001:db8::53
    check { query "example.com SOA"; recursion off }
    real_server ns1 { address 203.0.113.11 2001:db8:1::11 }
    real_server ns2 { address 203.0.113.12 2001:db8:1::12 }
}
"""
ADDRESSES = ["2001:db8:1::11", "2001:db8:1::12", "203.0.113.11", "203.0.113.12"]


def run(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=30)


def written(tmp_path, text):
    path = tmp_path / "t.conf"
    path.write_text(text)
    return path


def checker(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return path or pytest.skip(f"{name} is not installed")


# ---- check-config -----------------------------------------------------------------


def test_a_caret_stands_under_the_column(tmp_path):
    path = written(tmp_path, "director {\n\tinterface eth0\n    xdp_mod native\n}\n")
    done = run("check-config", "-f", path)
    lines = done.stderr.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{path}:3:5: error: "))
    source, caret = lines[at + 1], lines[at + 2]
    assert source.endswith("    xdp_mod native")
    assert caret.index("^") == source.index("xdp_mod")
    assert caret.strip("| ") == "^" + "~" * (len("xdp_mod") - 1)
    assert done.returncode == 1


def test_plain_messages_are_one_line_each(tmp_path):
    path = written(tmp_path, "director { interfac eth0 }\nnonsense\n")
    for option in ("--plain", "--quiet"):
        lines = run("check-config", option, "-f", path).stderr.splitlines()
        assert lines and all(line.startswith(f"{path}:") for line in lines)


def test_quiet_says_nothing_of_findings_and_plain_does(tmp_path):
    path = written(tmp_path, AUTHORITATIVE.replace("recursion off", "fail_on none"))
    quiet = run("check-config", "--quiet", "-f", path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    plain = run("check-config", "--plain", "-f", path)
    assert plain.returncode == 0
    assert f"{path}:5:5: warning: " in plain.stderr and "[servfail-passes]" in plain.stderr


def test_json_has_every_message_with_its_place(tmp_path):
    path = written(tmp_path, AUTHORITATIVE.replace("recursion off", "fail_on none"))
    done = run("check-config", "--json", "-f", path)
    messages = json.loads(done.stdout)
    assert done.stderr == "" and done.returncode == 0
    found = {message["code"]: message for message in messages}
    assert set(found) == {"servfail-passes", "one-outside-name"}
    assert found["servfail-passes"] == {
        "file": str(path), "line": 5, "column": 5, "severity": "warning",
        "code": "servfail-passes", "text": found["servfail-passes"]["text"],
        "hint": found["servfail-passes"]["hint"]}
    path.write_text(AUTHORITATIVE.replace("service_ip", "servise_ip"))
    done = run("check-config", "--json", "-f", path)
    errors = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(e["line"], e["column"], e["severity"], "code" in e) for e in errors] == [
        (4, 5, "error", False)]
    path.write_text(AUTHORITATIVE)
    assert json.loads(run("check-config", "--json", "-f", path).stdout) == []


# ---- convert ----------------------------------------------------------------------


def test_the_native_form_of_the_example_is_accepted_and_shorter(tmp_path):
    example = ROOT / "examples/keepalived.conf"
    done = run("convert", "-f", example)
    assert done.returncode == 0, done.stderr
    native = written(tmp_path, done.stdout)
    assert len(done.stdout.splitlines()) * 2 < len(example.read_text().splitlines())
    assert run("check-config", "--quiet", "-f", native).returncode == 0
    again = run("convert", "-f", native)
    assert (again.returncode, again.stdout) == (0, done.stdout)


def test_what_cannot_be_converted_is_an_error(tmp_path):
    path = written(tmp_path, """
virtual_server 192.0.2.53 53 {
    lb_algo wrr
    lb_kind DR
    real_server 203.0.113.11 53 {
        MISC_CHECK {
            misc_path "/usr/bin/dig @203.0.113.11 +tries=20 . soa"
            misc_timeout 9
        }
    }
}
""")
    done = run("convert", "-f", path)
    assert done.returncode == 1
    assert f"{path}:6:9: error: no native form" in done.stderr
    assert "# no native form: " in done.stdout
    assert run("check-config", "-f", written(tmp_path, done.stdout)).returncode == 1


# ---- also-notify ------------------------------------------------------------------


def also_notify(tmp_path, form):
    done = run("also-notify", "auth", "-f", written(tmp_path, AUTHORITATIVE), "--format", form)
    assert done.returncode == 0, done.stderr
    for address in ADDRESSES:
        assert done.stdout.count(address) >= 2, done.stdout
    assert "192.0.2.53" not in done.stdout and "2001:db8::53" not in done.stdout
    return done.stdout


def accepts(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.returncode == 0, done.stdout + done.stderr


def test_bind_accepts_its_part(tmp_path):
    part = also_notify(tmp_path, "bind")
    conf = tmp_path / "named.conf"
    zone = 'zone "example.com" {{ type primary; file "/dev/null"; {} }};\n'
    for text in (zone.format("\n" + part), "options {\n" + part + "};\n"):
        conf.write_text(text)
        good, said = accepts(checker("named-checkconf"), conf)
        assert good, said
    conf.write_text(zone.format("\n" + part.replace("203.0.113.11;", "203.0.113.311;")))
    assert not accepts(checker("named-checkconf"), conf)[0]


def test_nsd_accepts_its_part(tmp_path):
    conf = tmp_path / "nsd.conf"
    head = f'server:\n    username: ""\n    zonesdir: "{tmp_path}"\n'
    conf.write_text(head + also_notify(tmp_path, "nsd") +
                    'zone:\n    name: "example.com"\n    zonefile: "z"\n'
                    '    include-pattern: "auth"\n')
    good, said = accepts(checker("nsd-checkconf"), conf)
    assert good, said


def test_knot_accepts_its_part(tmp_path):
    conf = tmp_path / "knot.conf"
    conf.write_text(also_notify(tmp_path, "knot") +
                    "zone:\n  - domain: example.com\n    template: auth\n")
    good, said = accepts(checker("knotc"), "-c", conf, "conf-check")
    assert good, said


def test_powerdns_gets_every_address(tmp_path):
    settings = dict(line.split("=", 1) for line in also_notify(tmp_path, "powerdns").splitlines()
                    if not line.startswith("#"))
    assert sorted(settings["also-notify"].split(",")) == ADDRESSES
    assert sorted(settings["allow-axfr-ips"].split(",")) == ADDRESSES


def test_all_formats_are_printed_unless_one_is_named(tmp_path):
    done = run("also-notify", "auth", "-f", written(tmp_path, AUTHORITATIVE))
    for word in ("also-notify {", "provide-xfr:", "action: transfer", "allow-axfr-ips="):
        assert word in done.stdout


@pytest.mark.parametrize("form, notified, transfers", [
    ("bind", "    192.0.2.53;", "    203.0.113.11;"),
    ("nsd", "    notify: 192.0.2.53 NOKEY", "    provide-xfr: 203.0.113.11 NOKEY"),
    ("knot", "    address: [ 192.0.2.53, 2001:db8::53 ]", "    address: [ 203.0.113.11,"),
    ("powerdns", "also-notify=192.0.2.53,2001:db8::53\n", "allow-axfr-ips=203.0.113.11,")])
def test_where_the_director_hands_a_notify_on_the_service_ip_is_notified(tmp_path, form, notified,
                                                                         transfers):
    text = AUTHORITATIVE.replace("interface eth0", "dataplane proxy").replace(
        "    check {", "    to_all notify\n    to_all_from 198.51.100.10\n    check {")
    done = run("also-notify", "auth", "-f", written(tmp_path, text), "--format", form)
    assert done.returncode == 0, done.stderr
    assert "to_all notify" in done.stdout.splitlines()[1]
    assert notified in done.stdout, done.stdout
    assert transfers in done.stdout, done.stdout
    for address in ADDRESSES:
        assert done.stdout.count(address) == 1, done.stdout


def test_an_unknown_cluster_is_refused_with_those_that_there_are(tmp_path):
    done = run("also-notify", "nobody", "-f", written(tmp_path, AUTHORITATIVE))
    assert done.returncode == 1
    assert "no cluster `nobody`; it has auth" in done.stderr
