// SPDX-License-Identifier: GPL-2.0-or-later

// Package config reads /etc/config/p2pwall: the syntax of UCI, what each option may
// be, the defaults, and what the engine is told of all that.
//
// It reports every fault of a file at once, with line and remedy. It links no
// encoding/json or regexp: flash is short on routers.
package config
