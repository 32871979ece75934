// SPDX-License-Identifier: GPL-2.0-or-later

// Package directconnect has real programs of Direct Connect behind the wall: EiskaltDC++ and
// ncdc, with a hub of ADC (uhub) and one of NMDC, which is here. Two of them transfer a file
// through the router, in the lab of package lab.
//
//	go test ./bench/directconnect
package directconnect
