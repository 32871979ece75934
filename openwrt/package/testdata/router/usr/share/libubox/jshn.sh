# SPDX-License-Identifier: GPL-2.0-or-later
#
# A stub of OpenWrt's jshn.sh. It reads flat objects and writes one string.

json_load() {
	JSON="$1"
	case "$1" in '{'*'}') ;; *) return 1 ;; esac
}

json_get_var() {
	local found

	# shellcheck disable=SC2034 # read in the eval
	found="$(printf '%s' "$JSON" | awk -v RS=, -v name="\"$2\"" '
		{ gsub(/[{}\n]/, "") }
		index($0, name) { sub(/^[^:]*:[ ]*/, ""); gsub(/^"|"$/, ""); print; exit }')"
	eval "$1=\"\${found:-\$3}\""
}

json_init() {
	JSON=
}

json_add_string() {
	JSON="{\"$1\":\"$2\"}"
}

json_dump() {
	echo "$JSON"
}
