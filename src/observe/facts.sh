cat /etc/os-release || cat /usr/lib/os-release
echo "machine=$(uname -m)"
read -r name </proc/sys/kernel/hostname && echo "hostname=$name"
while read -r key value unit; do
	case $key in MemTotal:) echo "memory_kib=$value" ;; esac
done </proc/meminfo
cpus=0
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
	# cpu0 has no such file where it cannot be taken offline.
	online=1
	[ ! -r "$cpu/online" ] || read -r online <"$cpu/online"
	[ "$online" != 1 ] || cpus=$((cpus + 1))
done
echo "cpus=$cpus"
if [ -d /run/systemd/system ]; then
	echo init=systemd
elif have rc-service; then
	echo init=openrc
elif [ -d /etc/init.d ]; then
	echo init=sysv
fi
if have dpkg-query && have apt-get; then
	echo package_manager=apt
elif have apk; then
	echo package_manager=apk
elif have pacman; then
	echo package_manager=pacman
elif have zypper; then
	echo package_manager=zypper
elif have dnf; then
	echo package_manager=dnf
elif have yum; then
	echo package_manager=yum
fi
if have ip; then
	ip -o addr show scope global | while read -r _ _ family address _; do
		case $family in inet | inet6) echo "address=${address%%/*}" ;; esac
	done
elif have hostname; then
	for address in $(hostname -I); do echo "address=$address"; done
fi
:
