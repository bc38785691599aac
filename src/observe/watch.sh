# Watching: what lies below a path, with times and digests. Shared by observation and act.

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
