# run.sh FOLDER: the run itself, detached from whoever started it. Writes frames to FOLDER/out.
d=$1
. "$d/settings"
. "$d/prelude.sh"
export d RUN
# Whoever follows sees by it that we are gone.
echo $$ >"$d/runner"
cd /
exec >>"$d/out" 2>&1 </dev/null

b() { printf '\n@%s begin %s\n' "$NONCE" "$1"; }
e() { printf '\n@%s end %s %s\n' "$NONCE" "$1" "$2"; }

# finish: whoever follows has until then to take what was written; then nothing of it stays in memory.
finish() {
	: >"$d/ended"
	# What follows touches nothing of the host; another run may begin.
	exec 9>&-
	waited=0
	read -r follower <"$d/follower"
	while [ ! -e "$d/followed" ] && [ -d "/proc/$follower" ] && [ $waited -lt 100 ]; do
		waited=$((waited + 1))
		if [ $waited -gt 50 ] || ! sleep 0.02 2>/dev/null; then sleep 1; fi
	done
	rm -rf "$d"
	exit 0
}

# refuse STATUS MESSAGE: nothing was touched.
refuse() {
	b act
	say "$2"
	e act "$1"
	finish
}

if [ -n "$MEMORY" ]; then
	S=$MEMORY
elif [ "$(id -u)" = 0 ]; then
	S=/var/lib/snowmelt
else
	S=${XDG_STATE_HOME:-$HOME/.local/state}/snowmelt
fi
S=$S/$PROJECT/$HOST
(umask 077 && mkdir -p "$S") || refuse 82 "the folder in which this host remembers cannot be made: $S"
# The steps must not inherit this descriptor: what they leave running would hold the lock.
exec 9>>"$S/lock" || refuse 82 "the lock cannot be opened: $S/lock"
if have flock; then
	# An observation holds it for a moment, to see whether it is free; a run holds it for longer.
	tries=0
	until flock -n 9; do
		tries=$((tries + 1))
		[ $tries -le 20 ] || refuse 80 "$(sed -n 's/^begun [0-9]* //p' "$S/run" 2>/dev/null)"
		[ $tries -le 5 ] || sleep 0.05 2>/dev/null || { sleep 1; tries=20; }
	done
fi
epoch=0
if [ -e "$S/record" ]; then
	IFS='	' read -r word epoch rest <"$S/record" || refuse 82 "what was applied to this host cannot be read: $S/record"
	[ "$word" = epoch ] || epoch=0
fi
[ "$epoch" = "$EPOCH" ] || refuse 81 "$(sed -n 's/^begun [0-9]* //p' "$S/run" 2>/dev/null)"

# sweep RUN: takes away what a run wrote down as in the making: its folder where it was killed, new files that did not come to
# their places. Only what bears the name of that run, whatever stands in the list.
sweep() {
	while read -r word path; do
		case $word:${path##*/} in
		leaves:*.snowmelt-"$1") [ ! -e "$path" ] && [ ! -L "$path" ] || rm -rf -- "$path" ;;
		folder:snowmelt-act.*) [ "$path" = "$d" ] || rm -rf -- "$path" ;;
		esac
	done <"$S/run"
}

# A run that was killed could not clean up after itself.
if [ -e "$S/run" ] && ! grep -q '^ended ' "$S/run"; then
	dead=$(sed -n 's/^id //p' "$S/run")
	[ -z "$dead" ] || sweep "$dead"
fi

umask 077
if ! { printf 'begun %s %s\nid %s\nfolder %s\n' "$(date +%s)" "$WHO" "$RUN" "$d" >"$S/run.new" &&
	cat "$d/record" >"$S/record.new" && sync && mv -f "$S/record.new" "$S/record" && mv -f "$S/run.new" "$S/run"; }; then
	rm -f "$S/record.new" "$S/run.new"
	refuse 82 "no space to remember this run: $S/record"
fi
printf '%s\n' "$S" >"$d/state"
umask 022

# remember STEP: what was applied by it (or by those it validated), and what it wrote down itself.
remember() {
	for part in "$d/applied/$1".* "$d/steps/$1.record"; do
		[ ! -e "$part" ] || cat "$part" >>"$S/record"
	done
}

# step NUMBER TITLE: runs steps/NUMBER.sh unless an earlier one failed. Status 90: there was nothing to do.
FAILED=
CHANGED=' '
TRIED=' '
step() {
	[ -z "$FAILED" ] || return 0
	b "s$1"
	export CHANGED
	# What a change would call for is owed from before the change.
	if [ -e "$d/owes/$1" ] && ! cat "$d/owes/$1" >>"$S/record"; then
		say "nothing was changed: no space to remember what that would call for: $S/record"
		e "s$1" 1
		FAILED=1
		return 0
	fi
	sh -eu "$d/steps/$1.sh" >"$d/log" 2>&1 </dev/null 9>&-
	status=$?
	# The end of a long output says more than its beginning.
	tail -c 65536 "$d/log"
	e "s$1" $status
	case $status in
	0)
		CHANGED="$CHANGED$1 "
		TRIED="$TRIED$1 "
		remember "$1"
		printf 'done %s %s\n' "$1" "$2" >>"$S/run"
		;;
	90)
		remember "$1"
		printf 'nothing %s %s\n' "$1" "$2" >>"$S/run"
		;;
	*)
		FAILED=1
		TRIED="$TRIED$1 "
		printf 'failed %s %s\n' "$1" "$2" >>"$S/run"
		;;
	esac
}

. "$d/steps.sh"
sweep "$RUN"

b act
e act 0
# What is so now, in the same words as before; nothing is believed because it was done.
# None of the processes that are looked for is this run, or what follows it. A number may have been given anew.
read -r follower <"$d/follower"
grep -qF "$d/start.sh" "/proc/$follower/cmdline" 2>/dev/null || follower=
ACT_PROCESSES="$$ $follower" sh "$d/observe.sh" 9>&-
printf 'ended %s %s\n' "$(date +%s)" "${FAILED:-0}" >>"$S/run"
finish
