// SPDX-License-Identifier: GPL-2.0-or-later

package main

const (
	daemonTitle = "Finds and blocks file-sharing clients"
	daemonText  = `Finds the hosts in the LAN that run a peer-to-peer file-sharing client
(BitTorrent; FastTrack: Kazaa, iMesh, Grokster, giFT, MLDonkey) and keeps that
client from reaching any peer outside, while all other traffic is untouched.`
	daemonPath = "/usr/sbin/p2pwall"
	configPath = "/etc/config/p2pwall"
	// daemonUser has fixed numbers, as OpenWrt's packages do: its images are
	// built without asking the router.
	daemonUser = "p2pwall=1214:p2pwall=1214"
)

// daemonPostrm removes what opkg leaves: a directory that may have scripts of the
// user, and the RAM disk. rpcd offers our object until it is told. An upgrade keeps
// what is there, locks included.
const daemonPostrm = `rmdir "${IPKG_INSTROOT}/etc/hotplug.d/p2pwall" 2>/dev/null
[ -n "${IPKG_INSTROOT}" ] || [ "${PKG_UPGRADE}" = 1 ] || {
	rm -rf /var/run/p2pwall
	/usr/bin/killall -q -HUP rpcd
}
exit 0
`

// A flavour is the daemon's package for one kind of firewall. The binary is the
// same, the dependencies are not: opkg can name alternatives, but would take
// nftables for an iptables router wherever the feed has both.
type flavour struct {
	name      string
	title     string
	depends   []string
	provides  []string
	conflicts []string
	apk       bool // OpenWrt releases with apk have it
}

var flavours = []flavour{
	{
		// fw4, OpenWrt 22.03 and later. nftables is what both
		// nftables-json and nftables-nojson provide. With the last,
		// connections that began before a client was found are cut.
		name:      "p2pwall",
		title:     daemonTitle + " (nftables)",
		depends:   []string{"nftables", "kmod-nft-queue", "kmod-nf-conntrack-netlink"},
		conflicts: []string{"p2pwall-iptables"},
		apk:       true,
	},
	{
		// fw3. connbytes and connmark are in conntrack-extra, length is in
		// ipopt, the raw table and the sets are kernel packages.
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

// daemonPack is the daemon's package for an architecture.
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
