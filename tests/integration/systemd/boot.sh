#!/bin/sh
# boot.sh PLACE REPOSITORY VENV PYTHON: boots systemd on this machine's own files, and ends with it.
#
# PLACE becomes a tmpfs with what is written meanwhile; nothing of it is left, and nothing of the machine is
# changed. The files that are there are seen through an overlay; processes, mounts, the host's name and control
# groups are its own, the network is not. The first line on stdout is the process id of systemd.
# The project lies in /opt/mediaagent, its packages in /opt/venv, Python in /opt/python: what lies in a home
# directory is hidden from a unit.
set -eu

case "${BOOT_STAGE:-outside}" in
outside)
  # A mount namespace for what the stages share, and a control group that is removed at the end.
  exec env BOOT_STAGE=prepare unshare --mount --propagation private sh "$0" "$@"
  ;;
prepare)
  place=$1
  mount -t tmpfs -o mode=755 boot "$place"
  mkdir "$place/upper" "$place/work" "$place/root" "$place/cgroup"
  mount -t cgroup2 none "$place/cgroup"
  group=$place/cgroup/mediaagent-boot-$$
  mkdir "$group"
  result=0
  BOOT_STAGE=first BOOT_GROUP=$group unshare --mount --propagation private --pid --fork --kill-child --uts --ipc \
    sh "$0" "$@" &
  machine=$!
  # Whoever started it has been killed: see `--pdeathsig` there. The machine goes with the one that made it.
  trap 'kill -KILL $machine' TERM
  wait $machine || result=$?
  trap '' TERM
  wait $machine || true
  tries=50  # what was killed is a moment on its way out
  while grep -q 'populated 1' "$group/cgroup.events" && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 0.1; done
  find "$group" -depth -type d -exec rmdir {} +
  exit $result
  ;;
first)
  # The old /proc is still there: it knows this process by the number that others see.
  read -r pid _ < /proc/self/stat
  echo "$pid"
  echo 0 > "$BOOT_GROUP/cgroup.procs"
  exec env BOOT_STAGE=second unshare --cgroup sh "$0" "$@"
  ;;
second)
  place=$1 repository=$2 venv=$3 python=$4 root=$1/root
  mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" overlay "$root"
  mount -t proc proc "$root/proc"
  # Settings of the kernel and devices are the host's: whoever wants to change them is told that he cannot.
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 run "$root/run"
  mount -t tmpfs -o mode=1777 tmp "$root/tmp"
  # Nothing that is switched on here is on there.
  mount -t tmpfs -o mode=755 units "$root/etc/systemd/system"
  mount -t tmpfs -o mode=755 dev "$root/dev"
  mkdir "$root/dev/shm" "$root/dev/pts"
  for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mkdir -p "$root/opt/mediaagent" "$root/opt/venv" "$root/opt/python" "$root/mnt"
  mount --bind "$repository" "$root/opt/mediaagent"
  mount --bind "$venv" "$root/opt/venv"
  mount --bind "$python" "$root/opt/python"
  rm -f "$root/etc/machine-id"
  touch "$root/etc/machine-id"
  cd "$root"
  pivot_root . mnt
  umount -l /mnt
  # As systemd does outside of containers; the mounts that carry credentials come to a unit no other way.
  mount --make-rshared /
  # Its capabilities are those of a container: no modules, no clock.
  exec setpriv --bounding-set -sys_module,-sys_time,-sys_rawio,-syslog --inh-caps -all \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=mediaagent NOTIFY_SOCKET="$NOTIFY_SOCKET" \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --show-status=no
  ;;
esac
