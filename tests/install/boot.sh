#!/bin/sh
# From new namespaces to a machine of its own: this machine's files under a layer in memory, systemd as its first process.
# Usage, in namespaces for mounts, processes, network, names, IPC and cgroups: boot.sh PLACE
#
# PLACE/lib is its /var/lib, on a file system that layers can be made on; it and PLACE/memory outlive the machine, as a
# disk outlives being switched off.
set -eu
place=$1
root=$place/root
mount --make-rprivate /
mount -t overlay -o "lowerdir=/,upperdir=$place/memory/upper,workdir=$place/memory/work" overlay "$root"
mount --bind "$place/lib" "$root/var/lib"
mount -t proc proc "$root/proc"
# Until it is up, which is before it has users: a machine sets values of its kernel, and this kernel is not its own.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
cp "$place"/packages/*.deb "$root/run"
cd "$root"
mkdir -p .before
pivot_root . .before
umount -l /.before
exec env -i container=dispatch-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system \
    --unit=basic.target --log-target=journal --show-status=no
