// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/* The graphs of luci-app-statistics for what p2pwall.lua tells collectd. */
return baseclass.extend({
	title: 'P2Pwall',

	rrdargs: function() {
		return [ {
			title: '%H: file-sharing programs',
			vlabel: 'computers',
			y_min: '0',
			number_format: '%5.0lf',
			data: {
				instances: { gauge: [ 'clients', 'locked' ] },
				options: {
					gauge_clients: { title: 'found', color: '888888', overlay: true, noarea: true },
					gauge_locked: { title: 'locked', color: 'cc3333', overlay: true }
				}
			}
		}, {
			title: '%H: packets kept away',
			vlabel: 'packets/s',
			y_min: '0',
			number_format: '%6.1lf',
			data: {
				instances: { derive: [ 'dropped_tcp', 'dropped_udp' ] },
				options: {
					derive_dropped_tcp: { title: 'TCP', color: '3366cc', total: true },
					derive_dropped_udp: { title: 'UDP', color: '33aa66', total: true }
				}
			}
		} ];
	}
});
