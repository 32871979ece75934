// SPDX-License-Identifier: GPL-2.0-or-later

// Package config reads /etc/config/p2pwall. It knows the syntax of UCI, the values that each
// option takes and the defaults. It translates the configuration for the engine.
//
// It reports every fault of a file at once, with line and remedy. It links no
// encoding/json or regexp: flash is short on routers.
package config
