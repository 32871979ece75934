// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require p2pwall.common as common';

/*
 * The findings of the daemon's check in the user's language. A finding has codes for its
 * sentences, with arguments. Texts without a code stay in English: commands, and messages of
 * other programs.
 */
const TEXTS = {
	'off': _('the wall is switched off in the configuration'),
	'set-mode': _('set "mode" of a protocol section to block'),
	'no-protocol': _('every protocol is off: nothing is looked for'),
	'root': _('run as root'),
	'no-privilege': _('without CAP_NET_ADMIN nothing can be said about rules, and no rule can be loaded'),
	'name-device': _('name one with "list device", or a network of /etc/config/network with "list network"'),
	'no-device': _('no LAN device is known'),
	'bring-up': _('check its name, or bring it up; without the service %s is not written: use "list device"'),
	'network-without-device': _('the network %s has no device'),
	'device-name': _('check its name with "ip link"'),
	'device-missing': _('the LAN device %s does not exist (yet)'),
	'name-bridge': _('name %s instead'),
	'bridge-port': _('the LAN device %s is a port of %s: packets seem to come from that'),
	'lan': _('LAN: %s'),
	'no-forward': _('this machine does not forward IPv4'),
	'only-lan': _('name only devices of the LAN; a bridge that holds LAN and WAN ports cannot be watched'),
	'route-by-lan': _('the default route goes through %s, which is a LAN device: traffic within the LAN is never touched'),
	'backend': _('backend %s, sets %s'),
	'no-ip6tables': _('IPv6 is forwarded and not watched: there is no ip6tables'),
	'queue': _('the kernel has NFQUEUE'),
	'queue-module': _('the kernel has NFQUEUE as a module'),
	'install-queue': _('install kmod-nfnetlink-queue (OpenWrt), or: modprobe nfnetlink_queue'),
	'no-queue': _('the kernel has no NFQUEUE (nfnetlink_queue)'),
	'correct': _('correct the configuration'),
	'same-versions': _('install nftables and kmod-nft-queue in the versions of this system'),
	'rules-refused': _('nft does not take the rules: %s'),
	'set-sets': _('set sets to auto'),
	'no-sets': _('without sets in the kernel only what is recognised when it begins is cut: transfers that are going on already, and encrypted ones, pass'),
	'install-conntrack-netlink': _('install kmod-nf-conntrack-netlink (OpenWrt), or: modprobe nf_conntrack_netlink'),
	'no-conntrack-netlink': _('connections cannot be changed (%s): what began before a client is found may go on past the rules'),
	'install-conntrack': _('install kmod-nf-conntrack (OpenWrt), or: modprobe nf_conntrack'),
	'no-conntrack': _('connections are not tracked (yet): only connection attempts and small UDP can be looked at'),
	'not-counted': _('packets of connections are not counted (nf_conntrack_acct=0): the rules turn it on, but more packets of connections that are open by then go through the queue'),
	'mark': _('%s uses bits of the mark that the wall uses, too: %s'),
	'use-mask': _('let it use bits of its own only, with a mask'),
	'whole-mark': _('%s uses the whole mark, also the bits that the wall uses (%s)'),
	'fewer-bits': _('let it use fewer bits'),
	'other-bits': _('choose other bits: %s'),
	'mark-free': _('nothing else uses the bits of the mark that the wall uses (%s)'),
	'use-marks': _('have cake with diffserv4 slow it down (sqm-scripts, qosify), or an ip rule with fwmark route it (pbr, mwan3)'),
	'marks-unused': _('nothing seems to use what mode mark sets (%s): what is marked goes on as before'),
	'marks-used': _('what mode mark sets (%s) is used by: %s'),
	'policy-watch': _('watch it as well: add it to the section p2pwall'),
	'policy-network': _('the policy %s names the network %s, which is not watched'),
	'policy-device': _('the policy %s names the device %s, which is not watched'),
	'policy-lease': _('see the names of the leases under Status, Overview, or name its hardware address'),
	'policy-host': _('the policy %s names the computer %s, and no DHCP lease has this name'),
	'set-clock': _('wait for the time server, or set it'),
	'clock': _('the clock is not set: policies with hours, such as %s, do not hold'),
	'reject-wan': _('let the firewall reject what comes from the WAN and answers nothing (OpenWrt: option forward REJECT in the defaults and the wan zone of /etc/config/firewall)'),
	'line-without-ipv6': _('the line has no IPv6: nothing comes in by it'),
	'again': _('run the check again when the line is up'),
	'no-default-route': _('cannot tell whether inbound %s connections are blocked: there is no default route'),
	'inbound-blocked': _('inbound %s connections from %s to %s are blocked'),
	'inbound-unknown': _('cannot tell whether inbound %s connections from %s to %s are blocked: the rules are too special'),
	'inbound-open': _('inbound %s connections from %s to %s are not blocked'),
	'hold': _('set offload to hold, or: %s'),
	'offload': _('flow offload (table %s) hides connections from the wall'),
	'offload-not-fw4': _('flow offload (table %s) hides connections from the wall: it can be held back only for fw4 with the nft backend'),
	'when-missed': _('when clients are missed: %s'),
	'offload-hardware': _('flow offload is done in hardware: connections are held back until they are decided, which was not tried on every device'),
	'offload-held': _('flow offload: connections are held back until they are decided'),
	'offload-iptables': _('flow offload (iptables) hides connections from the wall'),
	'bridge': _('packets within a bridge go through iptables too (bridge-nf-call-iptables=1): the wall leaves them alone, but it costs time'),
	'install-nft': _('install nftables (OpenWrt: apk add or opkg install nftables kmod-nft-queue; Debian: apt install nftables)'),
	'install-nft-queue': _('install kmod-nft-queue (OpenWrt), or load the modules nft_queue and nfnetlink_queue (Debian: modprobe nft_queue)'),
	'install-iptables': _('install iptables with iptables-mod-nfqueue, iptables-mod-conntrack-extra and iptables-mod-ipopt (OpenWrt; Debian: apt install iptables)'),
	'install-ip6tables': _('install ip6tables and kmod-ip6tables (OpenWrt; Debian: apt install iptables)'),
	'install-ipset': _('install ipset and kmod-ipt-ipset (OpenWrt; Debian: apt install ipset), or set sets to auto'),
	'see-message': _('see the message')
};

function sentence(english, code, args) {
	if (typeof TEXTS[code] != 'string') /* names that every object has are not codes */
		return common.text(english);
	return TEXTS[code].format.apply(TEXTS[code], (Array.isArray(args) ? args : []).map(common.text));
}

/* With these findings, file sharing may pass although all else is well. */
const LETS = [ 'inbound-open', 'offload', 'offload-not-fw4', 'offload-iptables', 'no-ip6tables', 'no-sets', 'no-conntrack', 'no-conntrack-netlink' ];

/* The places in LuCI for the remedies, by key: the path and the title of the page. */
const PLACES = {
	firewall: [ 'admin/network/firewall', _('Firewall settings') ],
	settings: [ 'admin/services/p2pwall/settings', _('Settings of P2Pwall') ],
	log: [ 'admin/status/logs', _('System log') ]
};
const LINKS = {
	'reject-wan': 'firewall', 'hold': 'settings', 'set-mode': 'settings', 'set-sets': 'settings', 'name-device': 'settings',
	'device-name': 'settings', 'name-bridge': 'settings', 'only-lan': 'settings', 'other-bits': 'settings', 'see-message': 'log'
};

return baseclass.extend({
	/* Whether this finding means that file sharing may pass. */
	lets: function(f) { return f.level == 'error' || LETS.indexOf(f.code) != -1; },

	/* A list with the link to the page for the remedy, or an empty one. */
	link: function(f) {
		const place = PLACES[LINKS.hasOwnProperty(f.fix) ? LINKS[f.fix] : ''];
		return place ? [ E('a', { 'href': L.url(place[0]) }, [ place[1] ]) ] : [];
	},

	what: function(f) { return sentence(f.what, f.code, f.args); },

	remedy: function(f) { return sentence(f.remedy, f.fix, f.fix_args); },

	/* Why there is no answer. This text comes from the ubus object, which has no codes. */
	reason: function(err) {
		const said = common.reason(err);
		return said == 'P2Pwall is not running, start it with: service p2pwall start' ?
			_('P2Pwall is not running, start it with: service p2pwall start') : said;
	}
});
