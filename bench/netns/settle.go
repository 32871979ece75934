// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// settlePatience is how long Settle waits. 14 seconds were seen on a busy machine.
const settlePatience = time.Minute

// Settle waits until all IPv6 addresses of the namespace are of use. The kernel's command to
// add an address returns before. A work item then adds the route for packets to the address,
// and joins the multicast group in which neighbours ask for it. Work items wait while other
// namespaces are made or removed. Packets that come before are lost.
//
// Every device with an address must be up at both ends.
func (n *Namespace) Settle() error {
	if err := n.Do(Settle); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// Settle is the same for the thread's namespace.
func Settle() error {
	for end := time.Now().Add(settlePatience); ; time.Sleep(10 * time.Millisecond) {
		missing, err := unsettled()
		if err != nil || missing == "" {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not of use after %s: the address %s", settlePatience, missing)
		}
	}
}

// tentative is a flag of an address that the kernel does not use yet (linux/if_addr.h).
const tentative = 0x40

// unsettled returns an address of the thread's namespace that is not of use yet, or "".
func unsettled() (missing string, err error) {
	var text [3]string
	for i, name := range []string{"if_inet6", "ipv6_route", "igmp6"} {
		b, err := os.ReadFile("/proc/thread-self/net/" + name)
		if err != nil {
			return "", err
		}
		text[i] = string(b)
	}
	local, groups := map[[2]string]bool{}, map[[2]string]bool{}
	for line := range strings.Lines(text[1]) {
		if f := strings.Fields(line); len(f) == 10 && f[1] == "80" { // destination, prefix length, ..., device
			local[[2]string{f[9], f[0]}] = true
		}
	}
	for line := range strings.Lines(text[2]) {
		if f := strings.Fields(line); len(f) > 2 { // index, device, group, ...
			groups[[2]string{f[1], f[2]}] = true
		}
	}
	for line := range strings.Lines(text[0]) {
		f := strings.Fields(line) // address, index, prefix length, scope, flags, device
		if len(f) != 6 || f[5] == "lo" {
			continue
		}
		var flags uint
		if _, err := fmt.Sscanf(f[4], "%x", &flags); err != nil {
			return "", fmt.Errorf("flags of the address %s: %w", f[0], err)
		}
		asked := "ff0200000000000000000001ff" + f[0][26:] // RFC 4291, section 2.7.1
		if flags&tentative != 0 || !local[[2]string{f[5], f[0]}] || !groups[[2]string{f[5], asked}] {
			return f[0] + " of " + f[5], nil
		}
	}
	return "", nil
}
