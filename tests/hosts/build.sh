#!/bin/bash
# build.sh [--check] [RELEASE]: builds the Docker image that the test hosts are started from and prints its name. RELEASE is
# bookworm (if nothing is said), trixie or bullseye. It is Debian with systemd as process 1, sshd, the users root, deploy
# (sudo without a password) and nosudo, and a package repository in /opt/repo, so that hosts install packages without a
# network.
#
# No image is pulled: the system comes from debootstrap and the mirror that this machine's apt uses. Needs root, debootstrap,
# apt-utils and a Docker daemon. What was fetched is kept in ${SNOWMELT_TEST_CACHE:-~/.cache/snowmelt-test}. The image is
# named after its inputs, so that what is there is not made again and several checkouts do not meet; snowmelt-test:RELEASE,
# for use by hand, is the last one made. --check builds nothing and fails, saying why, unless the image is there.
set -euo pipefail
umask 022

check=false
[ "${1:-}" != --check ] || { check=true; shift; }
release=${1:-bookworm}
here=$(cd "$(dirname "$0")" && pwd)

# In the image from the start.
base=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,opendoas,nftables,cron,iproute2,procps,ca-certificates,tzdata
# In the repository with all they depend on, not installed.
offered='nginx nginx-light cron chrony systemd-timesyncd busybox acl attr tcsh fish python3 python3-apt'

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

hash_of() { cat "$@" | sha256sum | cut -c1-16; }

is_built() { docker image inspect "$image" >/dev/null 2>&1; }

# Debian as debootstrap leaves it, with the offered packages fetched into /opt/repo, as $1. The only step that needs the network.
fetch() {
    local tarball=$1 mirror package
    mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep '^http' | grep -v security | head -n 1) || true
    mirror=${SNOWMELT_TEST_MIRROR:-${mirror:-http://deb.debian.org/debian}}
    echo "build.sh: fetching $release from $mirror" >&2
    debootstrap --variant=minbase --include="$base" "$release" "$root" "$mirror" >"$work/log" 2>&1 ||
        { tail -n 20 "$work/log" >&2; fail 'debootstrap failed'; }
    mkdir -p "$root/opt/repo"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    chroot "$root" apt-get clean # of the packages that debootstrap has installed
    for package in $offered; do # one by one: some of them exclude each other
        chroot "$root" apt-get install -y --download-only --reinstall --no-install-recommends "$package" >"$work/log" 2>&1 ||
            { tail -n 20 "$work/log" >&2; fail "$package cannot be fetched"; }
    done
    cp "$root"/var/cache/apt/archives/*.deb "$root/opt/repo/"
    rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root/etc/resolv.conf"
    tar -C "$root" -c . | gzip -1 >"$tarball.$$"
    mv "$tarball.$$" "$tarball"
}

# The system as the hosts want it: what is the same for all of them.
furnish() {
    local unit
    rm -f "$root"/etc/apt/sources.list.d/*
    echo 'deb [trusted=yes] file:/opt/repo ./' >"$root/etc/apt/sources.list"
    "$here/packages.sh" "$root/opt/repo"
    (
        cd "$root/opt/repo"
        apt-ftparchive packages . >Packages
        apt-ftparchive -o APT::FTPArchive::Release::Suite=snowmelt-test release . >Release.new
        mv Release.new Release
    ) 2>"$work/log" || { cat "$work/log" >&2; fail 'the package repository cannot be indexed'; }

    # Nothing may start by itself in the middle of a test, and nothing in a container has a console or a clock of its own.
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        fstrim.timer systemd-tmpfiles-clean.timer systemd-modules-load.service console-getty.service getty@.service; do
        ln -sfn /dev/null "$root/etc/systemd/system/$unit"
    done
    mkdir -p "$root/etc/systemd/journald.conf.d" "$root/var/log/journal"
    printf '[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/test.conf"

    # A container may not set the clock: its NTP clients run without that instead of being skipped.
    mkdir -p "$root"/etc/systemd/system/{chrony,systemd-timesyncd}.service.d
    printf '[Unit]\nConditionCapability=\n[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd -x $DAEMON_OPTS\n' \
        >"$root/etc/systemd/system/chrony.service.d/test.conf"
    printf '[Unit]\nConditionCapability=\nConditionVirtualization=\n[Service]\nAmbientCapabilities=\n' \
        >"$root/etc/systemd/system/systemd-timesyncd.service.d/test.conf"

    # VERBOSE has one line for each exec channel.
    cat >"$root/etc/ssh/sshd_config.d/test.conf" <<'END'
LogLevel VERBOSE
PermitRootLogin prohibit-password
PasswordAuthentication no
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/test_authorized_keys
UseDNS no
MaxStartups 200
END
    # Since 9.8 sshd shuts out an address that fails too often: all tests come from the same one.
    if chroot "$root" /usr/sbin/sshd -t -o PerSourcePenalties=no 2>/dev/null; then
        echo 'PerSourcePenalties no' >>"$root/etc/ssh/sshd_config.d/test.conf"
    fi
    rm -f "$root"/etc/ssh/ssh_host_*
    chroot "$root" useradd -m -s /bin/bash deploy
    chroot "$root" useradd -m -s /bin/sh nosudo
    echo 'deploy ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/deploy"
    chmod 440 "$root/etc/sudoers.d/deploy"

    rm -f "$root/etc/hostname"
    : >"$root/etc/machine-id"
    cat >"$root/sbin/host-init" <<'END'
#!/bin/sh
# Process 1 until systemd is: makes of the container what systemd takes for a machine.
umount -R /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
chmod 666 /dev/null
mount --make-rshared /
# Docker mounts these; a file that is mounted cannot be replaced by renaming. What the first start wrote stays.
for file in /etc/hosts /etc/hostname /etc/resolv.conf; do
    given=$(cat "$file")
    # There is nobody to ask: a question fails at once instead of after a while.
    [ "$file" != /etc/resolv.conf ] || given='nameserver 127.0.0.1'
    umount "$file" && { [ -s "$file" ] || { printf '%s\n' "$given" >"$file"; chmod 644 "$file"; }; }
done
# systemd would take it from the machine that all the containers are on.
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
exec /lib/systemd/systemd
END
    chmod 755 "$root/sbin/host-init"
}

case $release in
bookworm | trixie | bullseye) ;;
*) fail "no such release: $release (bookworm, trixie, bullseye)" ;;
esac
docker info >/dev/null 2>&1 || fail 'no Docker daemon answers'
image=snowmelt-test:$release-$(hash_of "$here/build.sh" "$here/packages.sh")
if is_built; then
    echo "$image"
    exit 0
fi
! $check || fail "there is no image $image; as root, run tests/hosts/build.sh $release"
[ "$(id -u)" = 0 ] || fail 'needs root'
for tool in debootstrap apt-ftparchive; do
    command -v "$tool" >/dev/null || fail "needs $tool (packages debootstrap and apt-utils)"
done

cache=${SNOWMELT_TEST_CACHE:-$HOME/.cache/snowmelt-test}
mkdir -p "$cache"
exec 9>"$cache/lock" # two builds at once: the second finds what the first made
flock 9
! is_built || { echo "$image"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir "$root"
chmod 755 "$root"
tarball=$cache/$release-$(echo "$base $offered $(declare -f fetch)" | hash_of).tar.gz
if [ -e "$tarball" ]; then
    tar -C "$root" -xzf "$tarball"
else
    fetch "$tarball"
fi
furnish
tar -C "$root" -c . | docker import -c 'ENV container=docker' -c 'CMD ["/sbin/host-init"]' -c 'LABEL snowmelt-test=' - \
    "$image" >/dev/null
docker tag "$image" "snowmelt-test:$release"
# What earlier states of these scripts made.
docker image prune --all --force --filter label=snowmelt-test --filter until=168h >/dev/null
echo "$image"
