# SPDX-License-Identifier: GPL-2.0-or-later
#
# A stub of OpenWrt's functions.sh. It reads UCI sections, options and lists with the
# functions that the init script uses.

config_load() {
	eval "$(awk '
		function value(s) { sub(/^[ \t]*[a-z]+[ \t]+[a-z_]+[ \t]*/, "", s); return s }
		$1 == "config" {
			section = $3; gsub(/\047/, "", section)
			if (section != "") print "UCI_TYPE_" $2 "=\"${UCI_TYPE_" $2 "-} " section "\""
		}
		$1 == "option" { print "UCI_" section "_" $2 "=" value($0) }
		$1 == "list" && !known[section $2]++ { print "UCI_" section "_" $2 "=" }
		$1 == "list" { print "UCI_" section "_" $2 "=\"${UCI_" section "_" $2 "-} \"" value($0) }
	' "/etc/config/$1")"
}

config_get() {
	eval "$1=\"\${UCI_$2_$3:-$4}\""
}

config_get_bool() {
	config_get "$@"
}

config_foreach() {
	local section sections

	eval "sections=\"\${UCI_TYPE_$2-}\""
	for section in $sections; do
		"$1" "$section"
	done
}

config_list_foreach() {
	local item items

	eval "items=\"\${UCI_$1_$2-}\""
	for item in $items; do
		"$3" "$item"
	done
}
