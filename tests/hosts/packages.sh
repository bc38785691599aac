#!/bin/bash
# packages.sh DIR: writes tiny Debian packages into DIR. They need no network, are the same on every machine, and each is
# there for one thing that a test wants to see happen:
#
#   snow-hello 1.0, 2.0   a service (not started by its package) with a unit, a conffile and a dependency on snow-dep; which
#                         greeting the running service has read is in /run/snow-hello.greeting
#   snow-dep 1.0          what snow-hello depends on
#   snow-order            versions 1.0~rc1, 1.0 and 1:0.5, of which the last is the newest
#   snow-broken 1.0       its postinst fails unless /etc/snow-broken.fixed exists
#   snow-slow 1.0         its postinst writes /run/snow-slow.started and takes until /run/snow-slow.go exists, at most
#                         60 seconds; then it writes /run/snow-slow.done
set -euo pipefail
umask 022

repository=${1:?usage: packages.sh DIR}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=1700000000

# start NAME VERSION [DEPENDS]: begins a package in $tree.
start() {
    tree=$work/$1
    rm -rf "$tree"
    mkdir -p "$tree/DEBIAN"
    {
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nSection: misc\nPriority: optional\n' "$1" "$2"
        [ $# -lt 3 ] || printf 'Depends: %s\n' "$3"
        printf 'Maintainer: Nobody <nobody@example.invalid>\nDescription: a package to test with\n'
    } >"$tree/DEBIAN/control"
}

# script PATH: an executable file of the package, from standard input.
script() {
    mkdir -p "$(dirname "$tree/$1")"
    cat >"$tree/$1"
    chmod 755 "$tree/$1"
}

# finish: builds the package. dpkg-deb names the file; an epoch is not part of that name.
finish() {
    find "$tree" -type d -exec chmod 755 {} +
    dpkg-deb -Zgzip --root-owner-group --build "$tree" "$repository" >/dev/null
}

hello() {
    start snow-hello "$1" snow-dep
    # Reading its file at the start and on a reload only, it shows which content a service really runs with.
    script usr/bin/snow-hello <<'END'
#!/bin/sh
load() {
    . /etc/snow-hello.conf
    printf '%s\n' "$greeting" >/run/snow-hello.greeting
    systemd-notify --ready
}
trap load HUP
load
while :; do
    sleep 3600 &
    wait $!
    kill $! 2>/dev/null
done
END
    mkdir -p "$tree/etc" "$tree/lib/systemd/system"
    printf 'greeting=%s\n' "$1" >"$tree/etc/snow-hello.conf"
    printf '/etc/snow-hello.conf\n' >"$tree/DEBIAN/conffiles"
    cat >"$tree/lib/systemd/system/snow-hello.service" <<END
[Unit]
Description=snow-hello $1

[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/snow-hello
ExecReload=/bin/kill -HUP \$MAINPID

[Install]
WantedBy=multi-user.target
END
    script DEBIAN/postinst <<'END'
#!/bin/sh
[ ! -d /run/systemd/system ] || systemctl daemon-reload
END
    finish
}

hello 1.0
hello 2.0

start snow-dep 1.0
finish

for version in 1.0~rc1 1.0 1:0.5; do
    start snow-order "$version"
    finish
done

start snow-broken 1.0
script DEBIAN/postinst <<'END'
#!/bin/sh
[ -e /etc/snow-broken.fixed ] || { echo 'snow-broken: postinst fails, as it should' >&2; exit 1; }
END
finish

start snow-slow 1.0
script DEBIAN/postinst <<'END'
#!/bin/sh
: >/run/snow-slow.started
tries=600
while [ ! -e /run/snow-slow.go ] && [ "$tries" -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
done
: >/run/snow-slow.done
END
finish
