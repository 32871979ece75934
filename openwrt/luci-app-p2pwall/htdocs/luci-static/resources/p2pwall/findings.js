// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/*
 * What the daemon's check says, in the user's language. The daemon speaks English;
 * what is not in this list, and the commands in it, stay as they are.
 */

/* Called with two meanings of _: once for what the daemon says, once for what
 * the user reads. */
function texts(_) {
	return [
		_('P2Pwall is not running, start it with: service p2pwall start'),
		_('the wall is switched off in the configuration'),
		_('every protocol is off: nothing is looked for'),
		_('set "mode" of a protocol section to block'),
		_('without CAP_NET_ADMIN nothing can be said about rules, and no rule can be loaded'),
		_('run as root'),
		_('no LAN device is known'),
		_('name one with "list device", or a network of /etc/config/network with "list network"'),
		_('the network %s has no device'),
		_('check its name, or bring it up; without the service %s is not written: use "list device"'),
		_('the LAN device %s does not exist (yet)'),
		_('check its name with "ip link"'),
		_('the LAN device %s is a port of %s: packets seem to come from that'),
		_('name %s instead'),
		_('LAN: %s'),
		_('this machine does not forward IPv4'),
		_('the default route goes through %s, which is a LAN device: traffic within the LAN is never touched'),
		_('name only devices of the LAN; a bridge that holds LAN and WAN ports cannot be watched'),
		_('backend %s, sets %s'),
		_('IPv6 is forwarded and not watched: there is no ip6tables'),
		_('install nftables (OpenWrt: apk add or opkg install nftables kmod-nft-queue; Debian: apt install nftables)'),
		_('install kmod-nft-queue (OpenWrt), or load the modules nft_queue and nfnetlink_queue (Debian: modprobe nft_queue)'),
		_('install iptables with iptables-mod-nfqueue, iptables-mod-conntrack-extra and iptables-mod-ipopt (OpenWrt; Debian: apt install iptables)'),
		_('install ip6tables and kmod-ip6tables (OpenWrt; Debian: apt install iptables)'),
		_('install ipset and kmod-ipt-ipset (OpenWrt; Debian: apt install ipset), or set sets to auto'),
		_('see the message'),
		_('the kernel has NFQUEUE'),
		_('the kernel has NFQUEUE as a module'),
		_('the kernel has no NFQUEUE (nfnetlink_queue)'),
		_('install kmod-nfnetlink-queue (OpenWrt), or: modprobe nfnetlink_queue'),
		_('correct the configuration'),
		_('nft does not take the rules: %s'),
		_('install nftables and kmod-nft-queue in the versions of this system'),
		_('connections are not tracked (yet): only connection attempts and small UDP can be looked at'),
		_('install kmod-nf-conntrack (OpenWrt), or: modprobe nf_conntrack'),
		_('without sets in the kernel only what is recognised when it begins is cut: transfers that are going on already, and encrypted ones, pass'),
		_('set sets to auto'),
		_('connections cannot be changed (%s): what began before a client is found may go on past the rules'),
		_('install kmod-nf-conntrack-netlink (OpenWrt), or: modprobe nf_conntrack_netlink'),
		_('packets of connections are not counted (nf_conntrack_acct=0): the rules turn it on, but more packets of connections that are open by then go through the queue'),
		_('the line has no IPv6: nothing comes in by it'),
		_('cannot tell whether inbound %s connections are blocked: there is no default route'),
		_('run the check again when the line is up'),
		_('inbound %s connections from %s to %s are blocked'),
		_('cannot tell whether inbound %s connections from %s to %s are blocked: the rules are too special'),
		_('inbound %s connections from %s to %s are not blocked'),
		_('let the firewall reject what comes from the WAN and answers nothing (OpenWrt: option forward REJECT in the defaults and the wan zone of /etc/config/firewall)'),
		_('flow offload (table %s) hides connections from the wall'),
		_('flow offload (table %s) hides connections from the wall: it can be held back only for fw4 with the nft backend'),
		_('flow offload (iptables) hides connections from the wall'),
		_('set offload to hold, or: %s'),
		_('flow offload is done in hardware: connections are held back until they are decided, which was not tried on every device'),
		_('when clients are missed: %s'),
		_('flow offload: connections are held back until they are decided'),
		_('%s uses the whole mark, also the bits that the wall uses (%s)'),
		_('let it use bits of its own only, with a mask'),
		_('%s uses bits of the mark that the wall uses, too: %s'),
		_('let it use fewer bits'),
		_('choose other bits: %s'),
		_('nothing else uses the bits of the mark that the wall uses (%s)'),
		_('packets within a bridge go through iptables too (bridge-nf-call-iptables=1): the wall leaves them alone, but it costs time')
	];
}

const local = texts(_);
const known = texts(function(s) { return s; }).map(function(s) {
	return new RegExp('^' + s.split('%s').map(function(part) {
		return part.replace(/[^\w ]/g, '\\$&');
	}).join('([^]*)') + '$');
});

return baseclass.extend({
	translate: function(s) {
		for (let i = 0; i < known.length; i++) {
			const m = known[i].exec(s);
			if (m)
				return local[i].format.apply(local[i], m.slice(1));
		}
		return s;
	}
});
