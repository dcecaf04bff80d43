# SPDX-License-Identifier: Apache-2.0
"""The demo's second half: two directors that announce their service IPs to two core routers."""

import time

from lab import wait_for
from lab.redundancy import SECOND, V4, V6, Site
from lab.routing import missing_daemons

RATE = 2000


class Pair:
    """`row` and `breach` are the demo's."""

    def __init__(self, screen, demo, site: Site):
        self.screen, self.demo, self.site = screen, demo, site

    def carried(self, address: str, result_of) -> str:
        """Who forwarded while result_of() ran."""
        members = self.site.members.values()
        before = {m.name: m.packets(address) for m in members}
        result = result_of()
        wait_for("the counters", lambda: sum(m.packets(address) - before[m.name]
                                             for m in members) >= result.sent - result.lost, 10)
        shares = ", ".join(f"director {m.name} {m.packets(address) - before[m.name]}"
                           for m in members)
        return f"{address}: {result.sent} queries, {result.failed} lost; {shares}."

    def run(self):
        site, say = self.site, self.screen.say
        say("Director a is preferred for the first service IP (MED 0, the other has 1), b for the "
            "second;\nthe IPv6 one is anycast: the same MED at both.")
        for address in (V4, SECOND, V6):
            say(self.carried(address, lambda a=address: site.load(
                a, rate=RATE, count=RATE).start().finish()))
        say()
        self.screen.command("status")
        text = site.a.director.command("status").stdout
        say(text[text.index("announcements"):text.index("not forwarded")])
        self.loses("director killed", "Director a is killed (-9), without systemd: the kernel takes "
                   "its routes away,\nand forwards on until the routers have turned.",
                   lambda: site.a.director.kill9(), self.start_again)
        self.loses("director unplugged", "The machine of director a is unplugged; BFD at 100 ms × 3.",
                   lambda: site.unplug(site.a), lambda: site.plug(site.a), lossless=False)

    def start_again(self):
        self.site.a.director.start()

    def loses(self, what: str, story: str, harm, mend, lossless: bool = True):
        self.screen.say()
        self.screen.say(story)
        site = self.site
        with site.load(rate=RATE, seconds=60) as load:
            load.sleep_until(0.5)
            harm()
            began = time.monotonic()
            wait_for("the client's router to turn to b", lambda: site.next_hops(V4) == {"b"}, 20)
            turned = time.monotonic() - began
            load.sleep(0.5)
            mend()
            site.wait_at(V4, "a", timeout=60)
            load.sleep(0.5)
            result = load.stop().finish()
        self.screen.say(f"The router turned to b after {turned * 1000:.0f} ms, and back to a when "
                        f"that was well again:\n{self.demo.fate(result)}")
        self.demo.row(what, result, lossless=lossless)


def run(screen, demo):
    screen.step("Two directors, two core routers (FRR and BIRD)")
    why_not = missing_daemons()
    if why_not:
        screen.say(f"Left out: {why_not}")
        return
    with Site("frr", bfd=True) as site:
        Pair(screen, demo, site).run()
