# start.sh FOLDER: starts the run so that it does not depend on this connection, then follows what it writes. Exits 76 when the
# run is gone without an end.
d=$1
. "$d/settings"
export HOME USER XDG_STATE_HOME XDG_RUNTIME_DIR

: >"$d/out"
# Once we are gone, nothing is kept for us.
echo $$ >"$d/follower"
started=
# logind ends what a session leaves behind; a unit of its own is not part of the session.
if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] && command -v systemd-run >/dev/null 2>&1; then
	systemd-run --quiet --collect --no-ask-password -p KillMode=process --unit="snowmelt-$RUN" \
		--setenv=HOME="${HOME:-/root}" -- sh "$d/run.sh" "$d" >/dev/null 2>&1 && started=1
fi
if [ -z "$started" ]; then
	if command -v setsid >/dev/null 2>&1; then
		setsid sh "$d/run.sh" "$d" </dev/null >/dev/null 2>&1 &
	else
		(trap '' HUP; sh "$d/run.sh" "$d" </dev/null >/dev/null 2>&1 &)
	fi
fi

# A fraction of a second where sleep knows one; never busy.
if sleep 0.02 2>/dev/null; then pause=0.02; else pause=1; fi
sent=0
rounds=0
while :; do
	ended=
	[ ! -e "$d/ended" ] || ended=1
	size=$(wc -c <"$d/out") || exit 1
	if [ "$size" -gt "$sent" ]; then
		# A write that fails means that nobody listens any more; the run goes on without us.
		tail -c "+$((sent + 1))" "$d/out" | head -c "$((size - sent))" || exit 1
		sent=$size
	fi
	[ -z "$ended" ] || break
	# A run that was killed writes no end. One that has not begun by now will not.
	if [ -e "$d/runner" ]; then
		read -r runner <"$d/runner"
		[ -d "/proc/$runner" ] || [ -e "$d/ended" ] || exit 76
	elif [ $rounds -gt 300 ]; then
		exit 76
	fi
	rounds=$((rounds + 1))
	# After some seconds it is a long run, and looking less often is enough.
	[ $rounds -ne 100 ] || [ $pause = 1 ] || pause=0.2
	sleep $pause
done
# Written down before the host is let go, so that the next look at it knows.
if read -r S 2>/dev/null <"$d/state" && grep -q "^id $RUN\$" "$S/run"; then echo followed >>"$S/run"; fi
: >"$d/followed"
