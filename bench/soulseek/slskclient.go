// SPDX-License-Identifier: GPL-2.0-or-later

package soulseek

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/p2pwall/p2pwall/bench/npm"
)

// slskClient is npm's slsk-client. It ignores a peer's messages that come in the same
// segment as the message that opens the connection. It does not log in again.
var slskClient = &kind{name: "slsk-client", command: slskClientCommand, needs: []string{"node", "npm"}}

func slskClientCommand(o *options) (*exec.Cmd, error) {
	modules, err := npm.Modules("../..")
	if err != nil {
		return nil, err
	}
	if modules, err = filepath.Abs(modules); err != nil {
		return nil, err
	}
	script, err := filepath.Abs("slsk_client.cjs")
	if err != nil {
		return nil, err
	}
	return o.ns.Command("node", script, modules, o.server.Addr().String(), fmt.Sprint(o.server.Port()), o.user,
		fmt.Sprint(o.port), fileName, filepath.Join(o.complete(), fileName)), nil
}
