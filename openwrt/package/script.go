// SPDX-License-Identifier: GPL-2.0-or-later

package main

// The scripts of every OpenWrt package: default_postinst and default_prerm of
// /lib/functions.sh create the users, run uci-defaults, and enable, start and stop the
// services of the package.

const ipkPostinst = `#!/bin/sh
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
default_postinst $0 $@
`

const ipkPrerm = `#!/bin/sh
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
default_prerm $0 $@
`

// apk runs scripts under its own names, so the scripts must name their package.
func apkPostInstall(name string) string {
	return `#!/bin/sh
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
export root="${IPKG_INSTROOT}"
export pkgname="` + name + `"
add_group_and_user
default_postinst
`
}

func apkPostUpgrade(name string) string {
	const shebang = "#!/bin/sh\n"
	return shebang + "export PKG_UPGRADE=1\n" + apkPostInstall(name)[len(shebang):]
}

func apkPreDeinstall(name string) string {
	return `#!/bin/sh
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
export root="${IPKG_INSTROOT}"
export pkgname="` + name + `"
default_prerm
`
}
