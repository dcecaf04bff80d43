#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Process 1 of the lab's virtual machine, in its own root (see vm_init.sh):
# makes it a machine that programs expect, runs the command of this run, leaves
# its exit status in the exchange directory and turns the machine off.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
exchange=/run/lab-vm

# Shared, as systemd has it: otherwise `ip netns` and private mounts meet oddities.
mount --make-rshared /

# Loaded here so that no test waits for one. What a module itself needs, and
# whatever is missing in this list, modprobe and the kernel find.
modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_sh ip_vs_mh ip_vs_sed ip_vs_nq \
    8021q dummy veth bridge ipip ip6_tunnel nf_tables nft_chain_nat nf_conntrack ||
    echo "lab-vm: some modules were not loaded" > /dev/console

# What systemd gives to a service; the kernel's own limit of open files is 4096.
ulimit -Hn 524288
: > "$exchange/booted"

# hvc0 is the way to whoever runs this; raw, so that nothing is changed on it.
if [ -e "$exchange/interactive" ]; then
    setsid -c /bin/sh "$exchange/command" < /dev/hvc0 > /dev/hvc0 2>&1
    status=$?
else
    stty -F /dev/hvc0 raw -echo
    { /bin/sh "$exchange/command" < /dev/null 2>&1; echo $? > /run/status; } | cat > /dev/hvc0
    status=$(cat /run/status)
fi
echo "$status" > "$exchange/status.part"
mv "$exchange/status.part" "$exchange/status"
sync
/run/busybox poweroff -f
