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

# keep PATH: puts what is there aside, so that it can be put back if a validation fails. Only in steps that one may follow, and
# only from inside the folder of PATH: what stands above it may have been swapped since that was entered.
keep() {
	[ -n "${KEEP:-}" ] || return 0
	[ . -ef "${1%/*}/." ] || fail "$1 was not changed: its folder is not what it was"
	mkdir -p "$KEEP"
	kept=$(count_kept "$KEEP")
	if [ -e "./${1##*/}" ] || [ -L "./${1##*/}" ]; then
		cp -a -- "./${1##*/}" "$KEEP/$kept.old" || fail "$1 was not changed: what is there could not be put aside"
	fi
	# Half a copy is none: it counts from here on.
	printf '%s' "$1" >"$KEEP/$kept.path.new" && mv "$KEEP/$kept.path.new" "$KEEP/$kept.path" || fail "$1 was not changed"
}

# put_back FOLDER: undoes, last first, what `keep` put aside there. What cannot be undone is said, and the rest is.
put_back() {
	[ -d "$1" ] || return 0
	kept=$(count_kept "$1") result=0
	while [ "$kept" -gt 0 ]; do
		kept=$((kept - 1))
		path=$(cat "$1/$kept.path"; echo x)
		(put_back_one "$1/$kept.old" "${path%x}") || result=1
	done
	mv -- "$1" "$1.done"
	return $result
}

# put_back_one OLD PATH: what was put aside as OLD is at PATH again; if that is nothing, nothing is there. In a subshell.
put_back_one() {
	look_above "${2%/*}"
	place=${2%/*} name=${2##*/}
	place=${place:-/}
	enter "$place"
	# A folder that this run made is empty again by now, unless somebody else put something there.
	if [ -d "./$name" ] && [ ! -L "./$name" ]; then
		rmdir -- "./$name" || fail "$2 was not put back"
	elif [ ! -f "$1" ] || [ -d "./$name" ]; then
		# Nothing shall be there, or what could not be renamed over it.
		rm -f -- "./$name" || fail "$2 was not put back"
	fi
	if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 0; fi
	beside "$place" "$name"
	(umask 077 && cp -a -- "$1" "$new") || { give_up; fail "$2 was not put back"; }
	# In memory not all that a file can have could be kept. What took its place has it.
	if [ -f "$new" ] && [ ! -L "$new" ]; then
		look_for_attributes "$place/$name"
		heir_of "$name"
		if [ -n "$old" ]; then
			{ ! inherits || { copy_access_list && chmod "$(stat -c %a -- "$1")" "$new" && copy_attributes; }; } ||
				say "$2 is put back without its access list or extended attributes"
			touch -r "$1" -- "$new"
			[ -z "$private" ] || rm -f -- "$old"
		fi
	fi
	go_live "$place" "$name" || fail "$2 was not put back"
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

# look_above FOLDER: the same for one folder and all above it.
look_above() {
	above=$1
	set -- /
	while [ -n "$above" ] && [ "$above" != / ]; do
		set -- "$@" "$above"
		above=${above%/*}
	done
	look_at "$@"
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

# beside FOLDER NAME: what shall become NAME in the working folder, FOLDER, is made under the name $new. Where the folder is
# foreign, that is in a folder of its own, $private, which is the working folder then.
beside() {
	new=".$2.snowmelt-$RUN" private=
	if ! is_foreign "${1%/}"; then
		leaves "${1%/}/$new"
		return 0
	fi
	# Else a link to a folder, put in the place of the file at the last moment, would be followed.
	case $(mv --help 2>&1) in *-T*) ;; *) fail "$1 can be changed by others, and mv knows no -T: it cannot be written to safely" ;; esac
	private=.snowmelt-$RUN
	leaves "${1%/}/$private"
	mkdir -m 700 -- "$private" || fail "cannot make a private folder in $1"
	cd -P -- "$private" || exit 1
	[ "$(here)" = "${1%/}/$private" ] && [ "$(stat -c %u .)" = "$(id -u)" ] || fail "$1 is being changed underneath"
	new=$2
}

# go_live FOLDER NAME: $new takes its place; else it is taken away.
go_live() {
	if [ -n "$private" ]; then
		mv -fT -- "$new" "../$2" || { give_up; return 1; }
		leave_private
		return
	fi
	mv -f -- "$new" "$2" && return 0
	give_up
	case $(cat /proc/self/mountinfo) in *" ${1%/}/$2 "*) say "it is a mount point of its own, and cannot be replaced as a whole" ;; esac
	return 1
}

# give_up: takes away what did not go live.
give_up() {
	rm -rf -- "$new"
	[ -z "$private" ] || { rm -f -- "$new.old"; leave_private; }
}

# leave_private: back to the folder. Without -P a shell would go there by a name that may have been swapped.
leave_private() {
	cd -P .. && rmdir -- "$private"
}

# put BLOB FOLDER NAME OWNER GROUP MODE DEFAULT_MODE VALIDATE: the content of the blob becomes the file. Owner, group and mode
# that are empty stay as they are; a new file is ours and has the default mode.
put() {
	enter "$2"
	old_state "$3"
	owner=${4:-$old_owner} group=${5:-$old_group} mode=${6:-${old_mode:-$7}}
	keep "${2%/}/$3"
	beside "$2" "$3"
	heir_of "$3"
	# Nobody reads a file before its owner and mode are right.
	if { [ -z "${ATTRIBUTES:-}" ] || grant; } && (umask 077 && cat <"$1" >"$new") && own && chmod "$mode" "$new" &&
		{ [ -z "$old" ] || copy_attributes; } && { [ -z "$8" ] || validate_file "$8" "$PWD/$new"; } &&
		{ sync "$new" 2>/dev/null || sync; }; then
		:
	else
		give_up
		fail "$2/$3 was not changed"
	fi
	[ -z "$old" ] || [ -z "$private" ] || rm -f -- "$old"
	go_live "$2" "$3" || fail "$2/$3 was not changed"
	if [ -e /sys/fs/selinux/enforce ] && have restorecon; then restorecon -- "$3"; fi
	TOUCHED="$TOUCHED$2
"
}

# own: owner and group of $new.
own() {
	if [ -z "$owner$group" ]; then set_default_owner "$new"; else set_owner "$new" "$owner" "$group"; fi
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

# What a file has beyond owner and mode ---------------------------------------------------------------------------------
# Access lists, capabilities and extended attributes go over to the new file. Labels of SELinux and digests of IMA do not: the
# system has its own rules for those. Hardly any file has such things, so all files of a step are asked at once.

# look_for_attributes PATH...: sets ATTRIBUTES if one of these files, or a folder for new ones, has any.
look_for_attributes() {
	[ -n "${ATTRIBUTES:-}" ] || ! has_attributes "$@" || ATTRIBUTES=1
}

# has_attributes PATH...: `ls` marks access lists; what knows the others may be missing, and then nothing is known of them.
has_attributes() {
	if have getfattr; then
		[ -z "$(getfattr -h -m "$KEPT_ATTRIBUTES|^system[.]posix_acl_access\$" --absolute-names -- "$@" 2>/dev/null)" ] || return 0
	elif have getcap; then
		[ -z "$(getcap -- "$@" 2>/dev/null)" ] || return 0
	fi
	listing=$(ls -ld -- "$@" 2>/dev/null) || :
	while read -r word _; do
		case $word in ??????????+) return 0 ;; esac
	done <<-EOF
		$listing
	EOF
	return 1
}

KEPT_ATTRIBUTES='^user[.]|^trusted[.]|^security[.]capability$'

# heir_of NAME: sets $old to the file in whose place $new comes, if that may have attributes; else to nothing.
heir_of() {
	old=
	[ -n "${ATTRIBUTES:-}" ] || return 0
	if [ -z "$private" ]; then
		old=$1
	elif ln -P -- "../$1" "$1.old" 2>/dev/null; then
		# Now its name cannot be swapped.
		old=$1.old
	fi
	if [ -n "$old" ] && { [ ! -f "$old" ] || [ -L "$old" ] || ! has_attributes "./$old"; }; then
		disinherit
	fi
}

# disinherit: $new is nobody's heir.
disinherit() {
	[ -z "$private" ] || rm -f -- "$old"
	old=
}

# inherits: whether $new, which has its owner, gets what $old has. What a former owner granted to others does not outlast him; in a
# foreign folder neither does what was granted under another name of the file, of which two are there: ours and that of $new.
inherits() {
	set -- $(stat -c %u -- "$new") $(stat -c '%u %h' -- "$old") "$(id -u)"
	if [ -n "$private" ]; then
		[ "$1" != "$2" ] || [ "$3" != 2 ] || return 0
	else
		case $2 in 0 | "$1" | "$4") return 0 ;; esac
	fi
	say "its access list and attributes were given to it by somebody else than its owner is now, and are not kept"
	return 1
}

# grant: $new is there, empty, with its owner and the access list of $old, and lets nobody else in yet, whatever the folder says
# that new files are to have.
grant() {
	(umask 077 && : >"$new") && own || return 1
	if [ -n "$old" ]; then
		if inherits; then copy_access_list || return 1; else disinherit; fi
	fi
	chmod 600 "$new"
}

# copy_access_list: from $old to $new.
copy_access_list() {
	case $(ls -ld -- "$old") in ??????????+*) ;; *) return 0 ;; esac
	# What the folder gives to new files is not it; what a copy brought along is.
	case $(ls -ld -- "$new") in ??????????+*) [ ! -s "$new" ] || return 0 ;; esac
	case $(cp --help 2>&1) in
	*--attributes-only*) cp --attributes-only --preserve=mode -- "$old" "$new" ;;
	*) getfacl -p -- "$old" | setfacl --set-file=- -- "$new" ;;
	esac && case $(ls -ld -- "$new") in ??????????+*) return 0 ;; esac
	say "its access list (ACL) cannot be kept; install setfacl there, or remove the list with setfacl -b"
	return 1
}

# copy_attributes: from $old to $new. Only after the content: writing to a file takes its capabilities away.
copy_attributes() {
	if have getfattr && have setfattr; then
		getfattr -h -d -e hex -m "$KEPT_ATTRIBUTES" -- "$old" 2>/dev/null | while IFS= read -r line; do
			case $line in
			'#'* | '') ;;
			*=*) setfattr -h -n "${line%%=*}" -v "${line#*=}" -- "$new" || exit 1 ;;
			*) setfattr -h -n "$line" -- "$new" || exit 1 ;;
			esac
		done && return 0
	elif ! have getcap || [ -z "$(getcap -- "$old")" ]; then
		return 0
	else
		case $(cp --help 2>&1) in
		*--attributes-only*) cp --attributes-only --preserve=xattr -- "$old" "$new" && return 0 ;;
		esac
	fi
	say "its capabilities and extended attributes cannot be kept; install setfattr there, or remove them"
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
	if [ "$target" = file ]; then rm -f file && cd -P .. && rmdir ".snowmelt-$RUN"; fi
	[ $result = 0 ] || fail "$1/$2 was not changed"
}

# take_away PATH: a file goes, whatever is swapped above it. An earlier step may have taken it along with its folder.
take_away() {
	if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 0; fi
	folder=${1%/*}
	enter "${folder:-/}"
	if [ -d "./${1##*/}" ] && [ ! -L "./${1##*/}" ]; then fail "$1 is a folder, not a file; it was left alone"; fi
	keep "$1"
	rm -f -- "./${1##*/}" || fail "$1 was not removed"
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
