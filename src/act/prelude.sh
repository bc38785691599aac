# What every act and each of its steps begins with. POSIX sh. $d is the private folder (in memory) that the payload was
# unpacked into, $RUN a word that nobody on the host can guess.

LC_ALL=C TZ=UTC
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export LC_ALL TZ PATH
unset CDPATH ENV BASH_ENV
umask 022

have() { command -v "$1" >/dev/null 2>&1; }

say() { printf '%s\n' "$*"; }

fail() {
	say "$*"
	exit 1
}

# changed STEP...: whether one of these steps of this run changed anything.
changed() {
	for number; do
		case $CHANGED in *" $number "*) return 0 ;; esac
	done
	return 1
}

# tried STEP...: whether one of these steps of this run did anything, or failed while it did.
tried() {
	for number; do
		case $TRIED in *" $number "*) return 0 ;; esac
	done
	return 1
}

count_kept() (
	set -- "$1"/*.path
	if [ -e "$1" ]; then echo $#; else echo 0; fi
)

# keep PATH: puts what is there aside, so that it can be put back if a validation fails. Only in steps that one may follow.
keep() {
	[ -n "${KEEP:-}" ] || return 0
	mkdir -p "$KEEP"
	kept=$(count_kept "$KEEP")
	printf '%s' "$1" >"$KEEP/$kept.path"
	if [ -e "$1" ] || [ -L "$1" ]; then cp -a -- "$1" "$KEEP/$kept.old"; fi
}

# put_back FOLDER: undoes, last first, what `keep` put aside there.
put_back() {
	[ -d "$1" ] || return 0
	kept=$(count_kept "$1")
	while [ "$kept" -gt 0 ]; do
		kept=$((kept - 1))
		path=$(cat "$1/$kept.path"; echo x)
		path=${path%x}
		if [ -e "$1/$kept.old" ] || [ -L "$1/$kept.old" ]; then
			if [ -d "$1/$kept.old" ] && [ ! -L "$1/$kept.old" ]; then
				rm -rf -- "$path"
				cp -a -- "$1/$kept.old" "$path" || return 1
			else
				leaves "${path%/*}/.snowmelt-$RUN"
				cp -a -- "$1/$kept.old" "${path%/*}/.snowmelt-$RUN" || return 1
				mv -f -- "${path%/*}/.snowmelt-$RUN" "$path" || return 1
			fi
		else
			rm -rf -- "$path" || return 1
		fi
	done
	mv -- "$1" "$1.done"
}

# leaves PATH: what would stay behind if this run were ended now. It bears the name of the run, and is taken away at the end, by
# the next run if need be.
leaves() {
	read -r remembered 2>/dev/null <"$d/state" || return 0
	printf 'leaves %s\n' "$1" >>"$remembered/run" || :
}

# Files ---------------------------------------------------------------------------------------------------------------
# A file goes live through a dot-named sibling: same filesystem, same relative includes. In a folder that others can write
# to, the sibling would be theirs to exchange; there it is made in a private folder that is entered before anything is
# touched, so that no name can be swapped underneath.

# look_at FOLDER...: learns which of these folders (and what is above them) somebody else could change.
look_at() {
	me=$(id -u)
	FOREIGN='|'
	listing=$(stat -L -c '%u %a %n' -- "$@" 2>/dev/null) || :
	while read -r owner mode name; do
		[ -n "$name" ] || continue
		case $owner in 0 | "$me") ;; *) FOREIGN="$FOREIGN$name|" && continue ;; esac
		case $mode in
		# Sticky folders protect what is in them; /tmp is one.
		[1357]???) ;;
		*[2367]? | *[2367]) FOREIGN="$FOREIGN$name|" ;;
		esac
	done <<-EOF
		$listing
	EOF
}

# is_foreign FOLDER: whether somebody else could change it, or what is above it.
is_foreign() {
	folder=$1
	while :; do
		case $FOREIGN in *"|${folder:-/}|"*) return 0 ;; esac
		[ -n "$folder" ] || return 1
		folder=${folder%/*}
	done
}

# here: the working folder as the kernel knows it. bash answers `pwd -P` from the name it came by, which may have been swapped.
here() { readlink /proc/self/cwd; }

# enter FOLDER: makes it the working folder. A foreign one must be what its name says: no symbolic link on the way.
enter() {
	cd -P -- "$1" 2>/dev/null || fail "no folder $1: declare it, or give the file \`parents: true\`"
	if is_foreign "${1%/}" && [ "$(here)" != "${1%/}" ]; then
		fail "$1 goes through a symbolic link in a folder that others can write to: $(here)"
	fi
}

# parents FOLDER: makes what is missing of it, root's and 0755, one by one and never through a name that was swapped.
parents() {
	base=$1 missing=
	while [ ! -d "${base:-/}" ]; do
		missing=${base##*/}/$missing
		base=${base%/*}
	done
	[ -n "$missing" ] || return 0
	enter "${base:-/}"
	while [ -n "$missing" ]; do
		# Somebody else may make it at the same moment; then it is there, which is all that is asked.
		made=$(mkdir -m 755 -- "${missing%%/*}" 2>&1) || [ -d "${missing%%/*}" ] || fail "cannot make the folder $1: $made"
		cd -P -- "${missing%%/*}" || fail "cannot enter the folder $1"
		base=$base/${missing%%/*}
		! is_foreign "$base" || [ "$(here)" = "$base" ] || fail "$1 is being changed underneath"
		missing=${missing#*/}
	done
}

# old_state NAME: sets old_owner, old_group and old_mode of a file in the working folder; empty where there is none.
old_state() {
	old_owner= old_group= old_mode=
	if [ -L "$1" ]; then fail "$PWD/$1 is a symbolic link; declare a link, or the file it points to"; fi
	if [ -d "$1" ]; then fail "$PWD/$1 is a folder, not a file"; fi
	[ -e "$1" ] || return 0
	[ -f "$1" ] || fail "$PWD/$1 is not a regular file"
	set -- $(stat -c '%u %g %a' -- "$1")
	old_owner=$1 old_group=$2 old_mode=$3
}

# put BLOB FOLDER NAME OWNER GROUP MODE DEFAULT_MODE VALIDATE: the content of the blob becomes the file. Owner, group and mode
# that are empty stay as they are; a new file is ours and has the default mode.
put() {
	enter "$2"
	old_state "$3"
	owner=${4:-$old_owner} group=${5:-$old_group} mode=${6:-${old_mode:-$7}}
	keep "${2%/}/$3"
	new=".$3.snowmelt-$RUN"
	private=
	if is_foreign "${2%/}"; then
		private=.snowmelt-$RUN
		leaves "${2%/}/$private"
		mkdir -m 700 -- "$private" || fail "cannot make a private folder in $2"
		cd -P -- "$private" || exit 1
		[ "$(here)" = "${2%/}/$private" ] && [ "$(stat -c %u .)" = "$(id -u)" ] || fail "$2 is being changed underneath"
		new=$3
	else
		leaves "${2%/}/$new"
	fi
	# Nobody reads a file before its owner and mode are right.
	if (umask 077 && cat <"$1" >"$new") &&
		{ [ -z "$owner$group" ] && set_default_owner "$new" || set_owner "$new" "$owner" "$group"; } &&
		chmod "$mode" "$new" && { [ -z "$8" ] || validate_file "$8" "$PWD/$new"; } && { sync "$new" 2>/dev/null || sync; }; then
		:
	else
		rm -f -- "$new"
		[ -z "$private" ] || { cd .. && rmdir -- "$private"; }
		fail "$2/$3 was not changed"
	fi
	if [ -n "$private" ]; then
		mv -f -- "$new" "../$3" && cd .. && rmdir -- "$private" || fail "$2/$3 was not changed"
	elif ! mv -f -- "$new" "$3"; then
		rm -f -- "$new"
		case $(cat /proc/self/mountinfo) in *" $2/$3 "*) say "it is a mount point of its own, and cannot be replaced as a whole" ;; esac
		fail "$2/$3 was not changed"
	fi
	if [ -e /sys/fs/selinux/enforce ] && have restorecon; then restorecon -- "$3"; fi
	TOUCHED="$TOUCHED$2
"
}

# set_owner FILE OWNER GROUP: one of the two may be empty. A new file is ours already; only a change costs a process.
set_owner() {
	chown -h -- "$2${3:+:$3}" "$1"
}

# A folder with the setgid bit gives its group to new files; a file that nobody said anything about is root's.
set_default_owner() {
	[ "$(id -u)" != 0 ] || [ ! -g . ] || chown -h 0:0 -- "$1"
}

# validate_file COMMAND FILE: runs the user's command with the new file in the place of %s.
validate_file() {
	if NEW=$2 sh -c "$1" </dev/null; then return 0; fi
	say "it does not pass its validation, and was left alone: $1"
	return 1
}

# adjust FOLDER NAME OWNER GROUP MODE: owner and mode alone. In a foreign folder the name could be swapped for a symbolic link
# between looking and changing: there a hard link in a private folder is changed, which is the file itself.
adjust() {
	enter "$1"
	old_state "$2"
	[ -n "$old_mode" ] || fail "$1/$2 does not exist any more"
	keep "${1%/}/$2"
	target=$2
	if is_foreign "${1%/}"; then
		leaves "${1%/}/.snowmelt-$RUN"
		mkdir -m 700 -- ".snowmelt-$RUN" && cd -P -- ".snowmelt-$RUN" && ln -P -- "../$2" file && target=file ||
			fail "$1/$2 cannot be changed safely"
		[ -f file ] && [ ! -L file ] || fail "$1/$2 is being changed underneath"
	fi
	result=0
	[ -z "$3$4" ] || set_owner "$target" "$3" "$4" || result=1
	# A change of owner clears the setuid bits, so the mode comes last.
	[ -z "$5" ] || chmod "$5" "$target" || result=1
	if [ "$target" = file ]; then rm -f file && cd .. && rmdir ".snowmelt-$RUN"; fi
	[ $result = 0 ] || fail "$1/$2 was not changed"
}

# settle: what was renamed is on the disk.
settle() {
	printf '%s' "$TOUCHED" | sort -u | while read -r folder; do sync "$folder" 2>/dev/null || { sync; break; }; done
}

# unchanged SUMS: the files listed (as for sha256sum -c) still have the content that was observed.
unchanged() {
	moved=$(sha256sum -c "$1" 2>/dev/null | grep -v ': OK$') || :
	[ -z "$moved" ] || fail "somebody changed this since it was read; nothing was overwritten, run again: $moved"
}

# still_absent PATH...
still_absent() {
	for path; do
		if [ -e "$path" ] || [ -L "$path" ]; then
			fail "somebody made this since it was read; nothing was overwritten, run again: $path"
		fi
	done
}

# Watching -------------------------------------------------------------------------------------------------------------

# watch_digest: of the lines `<time> <digest> <name>` on its input, as the controller computes it.
watch_digest() {
	grep -v '^[^ ]* - ' | sed 's/^[^ ]* //' | sort -u | sha256sum | cut -d ' ' -f 1
}

# Users' guards ----------------------------------------------------------------------------------------------------------

# holds SECONDS USER FOLDER UNKNOWN_ON COMMAND: status 0 when it succeeds, 1 when it fails; the step fails when that cannot be
# told: it could not be run, was killed, or ended with one of the statuses in UNKNOWN_ON.
holds() {
	probe guard "$1" "$2" "$3" "$5"
	read -r guard <"$D/guard.s"
	rm -f "$D/guard".*
	case " $4 126 127 " in *" $guard "*) fail "its guard could not tell (status $guard): $5" ;; esac
	[ "$guard" -lt 126 ] || fail "its guard could not tell (status $guard): $5"
	[ "$guard" = 0 ]
}
