# The lock-out guard of a run that changes how one gets in. POSIX sh, sourced by run.sh. Before the first such change `arm` notes
# what could not be put back otherwise; after the last one of a row `prove` waits for somebody who has logged in anew, and takes
# everything back if nobody comes. WITHIN is how many seconds that may take.

# rules: what the packet filters let through, without what counts. Status 1: there are none that we could read.
rules() {
	case $1 in
	nft) have nft && nft -s list ruleset 2>/dev/null ;;
	*) have "$1-save" && "$1-save" 2>/dev/null | sed -e '/^#/d' -e 's/ \[[0-9:]*\]$//' ;;
	esac
}

arm() {
	[ -z "$FAILED" ] || return 0
	mkdir -p "$d/login"
	[ "$(id -u)" = 0 ] || return 0
	for filter in nft iptables ip6tables; do
		rules $filter >"$d/login/$filter" || rm -f "$d/login/$filter"
	done
}

# prove NUMBER TITLE STEP...: these steps have changed, or tried to change, how one gets in.
prove() {
	at=$1 title=$2
	shift 2
	if ! tried "$@"; then
		[ -z "$FAILED" ] || return 0
		b "s$at"
		e "s$at" 90
		remember "$at"
		printf 'nothing %s %s\n' "$at" "$title" >>"$S/run"
		return 0
	fi
	rm -f "$d/login/proven"
	echo "$at" >"$d/login/asked"
	b "proof$at"
	e "proof$at" 0
	read -r now _ </proc/uptime
	latest=$((${now%.*} + WITHIN))
	while [ ! -e "$d/login/proven" ] && [ "${now%.*}" -lt $latest ]; do
		sleep 0.1 2>/dev/null || sleep 1
		read -r now _ </proc/uptime
	done
	rm -f "$d/login/asked"
	b "s$at"
	if [ -e "$d/login/proven" ]; then
		e "s$at" 0
		[ -n "$FAILED" ] || remember "$at"
		printf 'done %s %s\n' "$at" "$title" >>"$S/run"
		return 0
	fi
	export TRIED WITHIN
	sh -u "$d/steps/$at.sh" >"$d/log" 2>&1 </dev/null 9>&- || :
	tail -c 65536 "$d/log"
	e "s$at" 96
	FAILED=1
	# A later proof has nothing left to answer for.
	TRIED=' '
	printf 'failed %s %s\n' "$at" "$title" >>"$S/run"
}

# put_rules_back: the packet filters let through what they did before.
put_rules_back() {
	changed=
	for filter in nft iptables ip6tables; do
		[ ! -e "$d/login/$filter" ] || rules $filter | cmp -s - "$d/login/$filter" || changed="$changed $filter"
	done
	[ -n "$changed" ] || return 0
	if [ -e "$d/login/nft" ]; then
		# In one transaction: all of it or nothing.
		if { echo 'flush ruleset'; cat "$d/login/nft"; } | nft -f - 2>/dev/null; then return 0; fi
		# It holds what only iptables can write: its rules come from its own list below.
		nft flush ruleset || say 'the rules of the packet filter could not be put back'
	fi
	for filter in iptables ip6tables; do
		[ ! -e "$d/login/$filter" ] || "$filter-restore" <"$d/login/$filter" || say "the rules of $filter could not be put back"
	done
}
