// SPDX-License-Identifier: GPL-2.0-or-later

// Package directconnect runs real Direct Connect programs behind the wall: EiskaltDC++ and
// ncdc, with an ADC hub (uhub) and this package's own NMDC hub. Two programs transfer a
// file through the router of package lab.
//
//	go test ./bench/directconnect
package directconnect
