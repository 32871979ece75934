// SPDX-License-Identifier: GPL-2.0-or-later

// Package check examines the machine for "p2pwall check": whether it can do what the
// configuration asks for, and what else on it conflicts with that. It reads the output of the
// system's own programs.
package check
