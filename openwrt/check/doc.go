// SPDX-License-Identifier: GPL-2.0-or-later

// Package check looks at the machine for "p2pwall check": whether it can do what the
// configuration asks for, and what else on it is in the way. It reads what the
// system's own programs print of their rules.
package check
