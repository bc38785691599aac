# Probes: a user's own commands, each under a deadline, into bounded files below $D. Shared by observation and act.

# probes_in FOLDER: where the files go. GNU timeout ends the whole process group; busybox's ends one process, so ours takes its
# place there.
probes_in() {
	D=$1
	UID_=$(id -u)
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
	# for, not that of the pipe: a process it left behind may hold the pipe for ever. So the reader must write what it has at
	# once, which of all tools only cat does; its bound is a little higher than what is reported, in blocks of 512 or 1024.
	(ulimit -c 0; ulimit -f 514; cat <"$D/$id.o" >"$D/$id.out"; : >"$D/$id.od") 2>/dev/null &
	(ulimit -c 0; ulimit -f 34; cat <"$D/$id.e" >"$D/$id.err"; : >"$D/$id.ed") 2>/dev/null &
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
