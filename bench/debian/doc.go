// SPDX-License-Identifier: GPL-2.0-or-later

// Package debian tests the Debian package as a user meets it: a Debian system whose first
// process is systemd, in a container (systemd-nspawn) that has the lab's router as its
// network. The package is built, installed, configured and started there, and must keep a
// simulated client locked through restarts, faulty configurations, crashes and an upgrade.
//
// The system is made by mmdebstrap and kept in the user's cache. The container works on a copy
// in memory, so that nothing changes it.
package debian
