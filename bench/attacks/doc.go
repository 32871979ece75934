// SPDX-License-Identifier: GPL-2.0-or-later

// Package attacks is the gallery of attacks on the wall: what somebody can do who
// wants a host of the LAN to be locked that runs no file sharing.
package attacks
