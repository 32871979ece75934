// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"errors"
	"io"
	"os"
	"strings"
)

// NetworkDevice names the device of a UCI network.
type NetworkDevice struct {
	Network, Device string
}

// ReadDevices reads the lines "network device" that the init script writes. A '#' starts a
// comment. The error is an Errors with all faults. The lines without a fault are returned
// too.
func ReadDevices(r io.Reader, file string) ([]NetworkDevice, error) {
	var out []NetworkDevice
	var errs Errors
	all, err := io.ReadAll(r)
	lines := strings.Split(string(all), "\n")
	for n, line := range lines {
		text, _, _ := strings.Cut(line, "#")
		f := strings.Fields(text)
		switch {
		case len(f) == 0:
		case len(f) != 2:
			errs = append(errs, &Error{file, n + 1, "not a network and its device", "write: lan br-lan"})
		case !validDevice(f[1]):
			errs = append(errs, &Error{file, n + 1, "bad device " + quote(f[1]), deviceRemedy})
		default:
			out = append(out, NetworkDevice{f[0], f[1]})
		}
	}
	if err != nil {
		errs = append(errs, &Error{file, len(lines), "cannot be read: " + reason(err), "check the file"})
	}
	return out, errs.sorted()
}

// LANDevices returns the devices of the LAN: those named directly and those of the networks,
// each once. Missing lists the networks without a device. That is no error if there is any
// device: a guest network may be down. If devices are named directly, the devices file need
// not exist.
func (c *Config) LANDevices() (devices, missing []string, err error) {
	for _, d := range c.Devices {
		devices = appendNew(devices, d)
	}
	var known []NetworkDevice
	if len(c.Networks) > 0 {
		f, e := os.Open(c.DevicesFile)
		if e == nil {
			known, err = ReadDevices(f, c.DevicesFile)
			f.Close()
		} else if !os.IsNotExist(e) {
			err = Errors{{File: c.DevicesFile, What: "cannot be opened: " + reason(e), Remedy: "check its permissions"}}
		}
	}
	for _, n := range c.Networks {
		found := false
		for _, k := range known {
			if k.Network == n {
				devices = appendNew(devices, k.Device)
				found = true
			}
		}
		if !found {
			missing = append(missing, n)
		}
	}
	return devices, missing, err
}

const deviceRemedy = "use the name of a device as in \"ip link\": 1 to 15 letters, digits or . _ - @ % = , ~"

// CheckDevice says what is wrong with a device name that cannot be written in a rule.
func CheckDevice(name string) error {
	if validDevice(name) {
		return nil
	}
	return errors.New("bad device name " + quote(name) + ": " + deviceRemedy)
}

// validDevice reports whether a device name can be written in a rule. The kernel allows more.
// But quotes, backslashes and the wildcards * and + have a meaning for nft or iptables, and
// nobody uses them in device names.
func validDevice(s string) bool {
	if s == "" || len(s) > 15 || s == "." || s == ".." || s[0] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case strings.IndexByte("._-@%=,~", c) >= 0:
		default:
			return false
		}
	}
	return true
}
