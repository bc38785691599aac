# The functions every observation script begins with. POSIX sh; read-only but for one scratch folder in memory.
# `b` and `e` print the marks of a frame; PROJECT and HOST name the folder in which the host remembers.

LC_ALL=C TZ=UTC
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export LC_ALL TZ PATH
unset CDPATH ENV BASH_ENV
IFS=' 	
'
umask 077
UID_=$(id -u)

have() { command -v "$1" >/dev/null 2>&1; }

state_folder() {
	if [ "$UID_" = 0 ]; then
		S=/var/lib/snowmelt/$PROJECT/$HOST
	else
		S=${XDG_STATE_HOME:-$HOME/.local/state}/snowmelt/$PROJECT/$HOST
	fi
}

# memory: who we are, what the host remembers, how the last run that acted ended.
memory() {
	state_folder
	b host
	echo "uid $UID_"
	read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id && echo "boot $boot"
	echo "now $(date +%s)"
	e host 0
	for part in record run; do
		b $part
		if [ -r "$S/$part" ]; then
			cat "$S/$part"
			e $part $?
		elif [ -e "$S/$part" ] || { [ -d "$S" ] && [ ! -x "$S" ]; }; then
			e $part 4
		else
			e $part 1
		fi
	done
	b lock
	if [ -r "$S/lock" ] && have flock; then
		if flock -n -s "$S/lock" true; then echo free; else echo held; fi
	fi
	e lock 0
}

# slurp PATH: the content of a regular file of at most 1 MiB.
# Status 1: no such file. 2: not a regular file. 3: larger. 4: may not be read. 5: its folder does not exist.
slurp() {
	if [ -L "$1" ]; then return 2; fi
	if [ -f "$1" ]; then
		[ -r "$1" ] || return 4
		[ "$(wc -c <"$1")" -le 1048576 ] || return 3
		cat <"$1" || return 4
		return 0
	fi
	[ -e "$1" ] && return 2
	folder=${1%/*}
	[ -d "${folder:-/}" ] && [ -x "${folder:-/}" ] && return 1
	while [ -n "$folder" ] && [ ! -e "$folder" ]; do folder=${folder%/*}; done
	[ -x "${folder:-/}" ] || return 4
	return 5
}

# watch_path GLOB: lines `<time> <digest> <name>` for what lies there. A line with the digest `-` gives only a time (folders
# count by time: a deletion shows there); a line with the time 0 gives only a digest. Filtering a `**` is left to the reader.
watch_path() (
	folder=
	# No word splitting: only patterns shall be expanded, and only here.
	IFS=
	case $1 in
	*'**'*)
		base=${1%%\*\**}
		base=${base%/}
		set -- ${base:-/}
		;;
	*[*?[]*)
		folder=${1%/*}
		set -- $1
		;;
	*) set -- "$1" ;;
	esac
	case $(stat -c %.9Y / 2>/dev/null) in *.*) format=%.9Y ;; *) format=%Y ;; esac
	[ -z "$folder" ] || stat -c "$format - %n" "$folder" 2>/dev/null
	find "$@" -xdev \( -type f -o -type d -o -type l \) -exec stat -c "$format - %n" {} + 2>/dev/null
	find "$@" -xdev -type f -exec sha256sum {} + 2>/dev/null | sed 's/^\\\{0,1\}\([0-9a-f]*\)  */0 \1 /'
	find "$@" -xdev -type l 2>/dev/null | while read -r link; do
		printf '0 %s %s\n' "$(readlink "$link" | tr ' ' _)" "$link"
	done
	:
)

# Probes: a user's own commands, four at a time, each under a deadline, into bounded files.

scratch() {
	for base in /run "$XDG_RUNTIME_DIR" /dev/shm /tmp; do
		[ -n "$base" ] && [ -d "$base" ] && [ -w "$base" ] || continue
		D=$(mktemp -d "$base/snowmelt.XXXXXX" 2>/dev/null) && break
	done
	[ -n "$D" ] || return 1
	trap 'rm -rf "$D"' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# Another user's probe must reach its own files, and nothing else in here.
	chmod 711 "$D"
	# GNU timeout ends the whole process group; busybox's ends one process, so ours takes its place there.
	case $(timeout --version 2>/dev/null) in *GNU*) GNU_TIMEOUT=1 ;; *) GNU_TIMEOUT= ;; esac
}

# as_user USER COMMAND...: runs it as USER; empty for whoever we are.
as_user() {
	user=$1
	shift
	if [ -z "$user" ] || [ "$user" = "$(id -un)" ]; then
		"$@"
	elif [ "$UID_" != 0 ]; then
		exit 201
	elif ! id -u "$user" >/dev/null 2>&1; then
		exit 202
	elif have runuser; then
		runuser -u "$user" -- "$@"
	else
		# su takes one string; the arguments are passed on behind it.
		su -s /bin/sh "$user" -c '"$0" "$@"' -- "$@"
	fi
}

# kill_tree PID: ends a process and everything below it.
kill_tree() (
	kill -KILL "$1" 2>/dev/null
	for stat in /proc/[0-9]*/stat; do
		read -r line 2>/dev/null <"$stat" || continue
		pid=${line%% *}
		line=${line##*) }
		set -- "$1" $line
		[ "$3" != "$1" ] || kill_tree "$pid"
	done
)

# limited SECONDS USER COMMAND: the status of `sh -c COMMAND`, or 200 when it was killed at its deadline. Runs in a subshell.
limited() {
	if [ -n "$GNU_TIMEOUT" ]; then
		as_user "$2" timeout -k 2 "$1" sh -c "$3"
		status=$?
		[ $status != 124 ] || status=200
		exit $status
	fi
	(as_user "$2" sh -c "$3") &
	pid=$!
	(
		left=$1
		while [ "$left" -gt 0 ]; do
			sleep 1
			kill -0 $pid 2>/dev/null || exit 0
			left=$((left - 1))
		done
		: >"$D/$id.k"
		kill_tree $pid
	) </dev/null >/dev/null 2>&1 &
	wait $pid
	status=$?
	[ ! -e "$D/$id.k" ] || status=200
	exit $status
}

# probe ID SECONDS USER FOLDER COMMAND: runs it; its input is $D/ID.i where that exists.
probe() {
	id=$1
	input=/dev/null
	[ ! -e "$D/$id.i" ] || input=$D/$id.i
	mkfifo "$D/$id.o" "$D/$id.e"
	# A reader per stream bounds what is kept; beyond it the writer gets a broken pipe. The end of the command is waited
	# for, not that of the pipe: a process it left behind may hold the pipe for ever.
	(head -c 262145 <"$D/$id.o" >"$D/$id.out"; : >"$D/$id.od") 2>/dev/null &
	(head -c 16385 <"$D/$id.e" >"$D/$id.err"; : >"$D/$id.ed") 2>/dev/null &
	(
		cd "${4:-/}" 2>/dev/null || exit 203
		limited "$2" "$3" "$5"
	) <"$input" >"$D/$id.o" 2>"$D/$id.e"
	echo $? >"$D/$id.s"
	tries=0
	while [ ! -e "$D/$id.od" ] || [ ! -e "$D/$id.ed" ]; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || break
		[ $tries -le 200 ] || sleep 0.01
	done
}

# report ID: the frames of a probe.
report() {
	b "p$1s"
	cat "$D/$1.s" 2>/dev/null
	e "p$1s" 0
	b "p$1o"
	cat "$D/$1.out" 2>/dev/null
	e "p$1o" 0
	b "p$1e"
	cat "$D/$1.err" 2>/dev/null
	e "p$1e" 0
}
