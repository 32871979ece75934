# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck shell=dash disable=SC3043
#
# The parts of OpenWrt's /lib/functions.sh that the package's scripts use, written for
# the test bed: the configuration reader, users, and the scripts of every package. UCI's
# syntax is close to that of the shell, so the shell itself reads it.

UCI_CONFIG_DIR="${UCI_CONFIG_DIR:-/etc/config}"

config() {
	CONFIG_SECTION="${2:-cfg$((CONFIG_COUNT = CONFIG_COUNT + 1))}"
	eval "CONFIG_${CONFIG_SECTION}_TYPE=\$1"
}
option() { eval "CONFIG_${CONFIG_SECTION}_$1=\$2"; }
list() {
	eval "local n=\"\${CONFIG_${CONFIG_SECTION}_$1_LENGTH:-0}\""
	n=$((n + 1))
	eval "CONFIG_${CONFIG_SECTION}_$1_ITEM$n=\$2 CONFIG_${CONFIG_SECTION}_$1_LENGTH=$n"
}

config_load() {
	local name
	for name in $(set | sed -n 's/^\(CONFIG_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$name"; done
	CONFIG_COUNT=0
	[ -f "$UCI_CONFIG_DIR/$1" ] || return 1
	# shellcheck source=/dev/null
	. "$UCI_CONFIG_DIR/$1"
}

# config_get VARIABLE SECTION OPTION [DEFAULT]
config_get() { eval "$1=\"\${CONFIG_$2_$3:-\$4}\""; }

config_get_bool() {
	local said
	config_get said "$2" "$3" "$4"
	case "$said" in
	1 | on | true | yes | enabled) said=1 ;;
	*) said=0 ;;
	esac
	eval "$1=$said"
}

# config_list_foreach SECTION OPTION FUNCTION
config_list_foreach() {
	local i=1 n value
	eval "n=\"\${CONFIG_$1_$2_LENGTH:-0}\""
	while [ "$i" -le "$n" ]; do
		eval "value=\"\$CONFIG_$1_$2_ITEM$i\""
		"$3" "$value"
		i=$((i + 1))
	done
}

# add_group_and_user: adds the users and groups that the package's control file names.
add_group_and_user() {
	local wanted pair user uid group gid
	wanted="$(sed -n 's/^Require-User: *//p' "/usr/lib/opkg/info/$pkgname.control")"
	for pair in $wanted; do
		user="${pair%%:*}" group="${pair#*:}"
		uid="${user#*=}" gid="${group#*=}"
		user="${user%%=*}" group="${group%%=*}"
		grep -q "^$group:" /etc/group || echo "$group:x:$gid:" >>/etc/group
		grep -q "^$user:" /etc/passwd || echo "$user:x:$uid:$gid:$user:/var/run/$user:/bin/false" >>/etc/passwd
	done
}

package_inits() { sed -n 's#^\(/etc/init.d/.*\)#\1#p' "/usr/lib/opkg/info/$pkgname.list"; }

default_postinst() {
	local script
	pkgname="${pkgname:-$(basename "${1%.*}")}"
	add_group_and_user
	sed -n 's#^/etc/uci-defaults/#/etc/uci-defaults/#p' "/usr/lib/opkg/info/$pkgname.list" | while read -r script; do
		# shellcheck source=/dev/null
		(. "$script") && rm -f "$script"
	done
	for script in $(package_inits); do
		"$script" enable
		"$script" start
	done
}

default_prerm() {
	local script
	pkgname="${pkgname:-$(basename "${1%.*}")}"
	for script in $(package_inits); do
		"$script" disable
		"$script" stop
	done
}
