#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Process 1 of the lab's virtual machine in its first root, by busybox: puts
# the machine's root together and goes on there with vm_main.sh.
#
#   /           the host's root, read-only over 9p, under a layer in memory:
#               what is written is gone with the machine
#   /run, /tmp  in memory; the working tree stays visible wherever it lies
#   /run/lab-vm the exchange directory of this run, shared with the host

# Ends the machine; without a verdict in the exchange directory that is a failure.
give_up() {
    echo "lab-vm: $*" > /dev/console
    /bin/busybox poweroff -f
    while :; do sleep 1; done
}

share() { # TAG DIRECTORY OPTIONS
    mount -t 9p -o "trans=virtio,version=9p2000.L,msize=507904,$3" "$1" "$2" ||
        give_up "cannot mount $1 over 9p"
}

/bin/busybox mkdir -p /proc /sys /dev /exchange /host /memory /new
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module" || give_up "cannot load $module"
done < /modules/order

share exchange /exchange cache=none
share host /host ro,cache=loose
mount -t tmpfs -o size=50% memory /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /new ||
    give_up "cannot lay memory over the host's root"

# Held while /tmp and /run are covered, then put back where it was.
tree=$(cat /exchange/tree)
release=$(uname -r)
mkdir /tree
mount --bind "/new$tree" /tree || give_up "$tree is not visible"
for directory in run tmp; do
    mount -t tmpfs -o mode=755 "$directory" "/new/$directory"
done
chmod 1777 /new/tmp
mkdir -p "/new$tree" "/new/lib/modules/$release" /new/run/lab-vm
mount --move /tree "/new$tree"
mount --bind "/new$(cat /exchange/modules)" "/new/lib/modules/$release"
mount --move /exchange /new/run/lab-vm
# What turns the machine off; the host need not have one.
cp /bin/busybox /new/run/busybox

# What programs expect to be mounted.
mkdir -p /dev/pts /dev/shm /new/run/lock /new/run/netns
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ln -s /proc/self/fd /dev/fd
hostname lab-vm
ip link set lo up
# An emulated processor pauses for long while its host is busy; that loses no packet.
echo 33554432 > /proc/sys/net/core/rmem_default
echo 10000 > /proc/sys/net/core/netdev_max_backlog
for directory in proc sys dev; do
    mount --move "/$directory" "/new/$directory"
done
exec /bin/busybox switch_root /new /bin/bash "$tree/tests/lab/tools/vm_main.sh"
