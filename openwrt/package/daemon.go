// SPDX-License-Identifier: GPL-2.0-or-later

package main

const (
	daemonTitle = "Finds and blocks file-sharing clients"
	daemonText  = `Finds the hosts in the LAN that run a peer-to-peer file-sharing client
(BitTorrent; FastTrack: Kazaa, iMesh, Grokster, giFT, MLDonkey) and keeps that
client from reaching any peer outside, while all other traffic is untouched.`
	daemonPath = "/usr/sbin/p2pwall"
	configPath = "/etc/config/p2pwall"
	// daemonUser has fixed numbers, as in OpenWrt's own packages: OpenWrt builds its images
	// without access to the router.
	daemonUser = "p2pwall=1214:p2pwall=1214"
)

// daemonPostrm removes what opkg leaves behind: directories, unless somebody else has files
// in them, and the files on the RAM disk. rpcd offers our object until it gets a
// signal. An upgrade keeps all files, locks included.
const daemonPostrm = `for dir in etc/hotplug.d/p2pwall usr/lib/lua/prometheus-collectors usr/share/collectd-mod-lua; do
	rmdir "${IPKG_INSTROOT}/$dir" 2>/dev/null
done
[ -n "${IPKG_INSTROOT}" ] || [ "${PKG_UPGRADE}" = 1 ] || {
	rm -rf /var/run/p2pwall
	/usr/bin/killall -q -HUP rpcd
}
exit 0
`

// A flavour is the daemon's package for one kind of firewall. Only the dependencies differ,
// not the binary. opkg supports alternative dependencies. But if the feed had both, opkg
// would choose nftables even for an iptables router.
type flavour struct {
	name      string
	title     string
	depends   []string
	provides  []string
	conflicts []string
	apk       bool // OpenWrt releases with apk have the package
}

var flavours = []flavour{
	{
		// fw4, OpenWrt 22.03 and later. Both nftables-json and nftables-nojson provide
		// nftables. The last package lets the daemon cut connections that began before a
		// client was found.
		name:      "p2pwall",
		title:     daemonTitle + " (nftables)",
		depends:   []string{"nftables", "kmod-nft-queue", "kmod-nf-conntrack-netlink"},
		conflicts: []string{"p2pwall-iptables"},
		apk:       true,
	},
	{
		// fw3. connbytes and connmark are in conntrack-extra, and length is in ipopt. The raw
		// table and the sets are in kernel packages.
		name:  "p2pwall-iptables",
		title: daemonTitle + " (iptables)",
		depends: []string{
			"iptables", "iptables-mod-nfqueue", "iptables-mod-conntrack-extra",
			"iptables-mod-ipopt", "kmod-ipt-raw", "kmod-ipt-ipset", "ipset",
			"kmod-nf-conntrack-netlink",
		},
		provides:  []string{"p2pwall"},
		conflicts: []string{"p2pwall"},
	},
}

// daemonPack returns the daemon's package for an architecture.
func (r *release) daemonPack(f flavour, arch string, binary []byte) (*pack, error) {
	files, err := readTree(r.path("openwrt/files"))
	if err != nil {
		return nil, err
	}
	for i := range files {
		if files[i].path == configPath {
			files[i].mode = 0o600
			files[i].conf = true
		}
	}
	files = append(files, file{path: daemonPath, mode: 0o755, data: binary})
	sortFiles(files)
	return &pack{
		name: f.name, arch: arch, section: "net", title: f.title, description: daemonText,
		depends: f.depends, provides: f.provides, conflicts: f.conflicts,
		user: daemonUser, postrm: daemonPostrm, files: files,
	}, nil
}
