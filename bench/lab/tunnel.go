// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// Addresses within the tunnel.
var (
	tunnel4 = netip.MustParsePrefix("10.8.0.0/24")
	tunnel6 = netip.MustParsePrefix("2001:db8:8::/64")
)

// Tunnel connects a host to the router by a tunnel only, like a user who is away from
// home. kind is "wireguard" (wireguard-go), "tun", or "peer": a tun device with the
// address of the other end instead of a network, as PPP has. It returns the router's
// device. The host then has other addresses and no hardware address.
func (l *Lab) Tunnel(h *Host, kind string) (dev string, err error) {
	dev = fmt.Sprintf("%s%d", map[string]string{"wireguard": "wg", "tun": "tun", "peer": "ppp"}[kind], os.Getpid()%100000)
	far := "far" + dev // the host's device
	if kind == "wireguard" {
		err = l.wireguard(h, dev, far)
	} else {
		err = l.tun(h, dev, far)
	}
	if err != nil {
		return "", fmt.Errorf("lab: tunnel: %w", err)
	}
	router4, router6 := tunnel4.Addr().Next(), tunnel6.Addr().Next()
	h.Addr4, h.Addr6, h.MAC = router4.Next(), router6.Next(), [6]byte{}
	net4, net6 := fmt.Sprintf("%s/24", router4), fmt.Sprintf("%s/64", router6)
	if kind == "peer" {
		net4 = fmt.Sprintf("%s peer %s/32", router4, h.Addr4)
		net6 = fmt.Sprintf("%s peer %s/128", router6, h.Addr6)
	}
	if err := l.Router.IPBatch(
		"link set "+dev+" up mtu 1420",
		"addr add "+net4+" dev "+dev,
		"addr add "+net6+" dev "+dev+" nodad",
	); err != nil {
		return "", err
	}
	if err := h.IPBatch(
		"link set "+far+" up mtu 1420",
		fmt.Sprintf("addr add %s/24 dev %s", h.Addr4, far),
		fmt.Sprintf("addr add %s/64 dev %s nodad", h.Addr6, far),
		"route replace default dev "+far,
		"route replace ::/0 dev "+far,
	); err != nil {
		return "", err
	}
	return dev, l.Inet.IPBatch(
		"route add "+tunnel4.String()+" via "+WAN4.String(),
		"route add "+tunnel6.String()+" via "+wan6.String(),
	)
}

// tun makes a tun device at each end and carries packets between them.
func (l *Lab) tun(h *Host, dev, far string) error {
	near, err := openTun(l.Router.Namespace, dev)
	if err != nil {
		return err
	}
	other, err := openTun(h.Namespace, far)
	if err != nil {
		near.Close()
		return err
	}
	l.OnClose(func() {
		near.Close()
		other.Close()
	})
	carry := func(from, to *os.File) {
		b := make([]byte, 65536)
		for {
			n, err := from.Read(b)
			if err != nil {
				return
			}
			_, _ = to.Write(b[:n]) // what does not fit is lost
		}
	}
	go carry(near, other)
	go carry(other, near)
	return nil
}

// openTun makes a tun device in a namespace. Closing the file removes the device.
func openTun(ns *netns.Namespace, name string) (f *os.File, err error) {
	err = ns.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		var req [unix.IFNAMSIZ + 24]byte // struct ifreq
		copy(req[:unix.IFNAMSIZ-1], name)
		*(*uint16)(unsafe.Pointer(&req[unix.IFNAMSIZ])) = unix.IFF_TUN | unix.IFF_NO_PI
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&req[0]))); errno != 0 {
			_ = unix.Close(fd)
			return errno
		}
		f = os.NewFile(uintptr(fd), "tun "+name)
		return nil
	})
	return f, err
}

// wireguard starts wireguard-go at both ends.
func (l *Lab) wireguard(h *Host, dev, far string) error {
	type end struct {
		ns           *netns.Namespace
		name         string
		secret, open string
	}
	ends := [2]end{{ns: l.Router.Namespace, name: dev}, {ns: h.Namespace, name: far}}
	for i := range ends {
		e := &ends[i]
		cmd := e.ns.Command("wireguard-go", "-f", e.name)
		cmd.Env = append(os.Environ(), "WG_PROCESS_FOREGROUND=1", "LOG_LEVEL=error")
		if err := cmd.Start(); err != nil {
			return err
		}
		l.OnClose(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			_ = os.Remove("/var/run/wireguard/" + e.name + ".sock")
		})
		for _, step := range []struct {
			input string
			to    *string
			arg   string
		}{{"", &e.secret, "genkey"}, {"\x00", &e.open, "pubkey"}} {
			k := exec.Command("wg", step.arg)
			if step.input != "" {
				k.Stdin = strings.NewReader(e.secret + "\n")
			}
			out, err := k.Output()
			if err != nil {
				return fmt.Errorf("wg %s: %w", step.arg, err)
			}
			*step.to = strings.TrimSpace(string(out))
		}
	}
	for i := range ends {
		e, other := &ends[i], &ends[1-i]
		args := []string{"set", e.name, "private-key", "/dev/stdin", "peer", other.open}
		if i == 0 {
			args = append(args, "allowed-ips", tunnel4.Addr().Next().Next().String()+"/32,"+tunnel6.Addr().Next().Next().String()+"/128")
			args = append(args[:2], append([]string{"listen-port", "51820"}, args[2:]...)...)
		} else {
			args = append(args, "endpoint", Router4.String()+":51820", "allowed-ips", "0.0.0.0/0,::/0", "persistent-keepalive", "5")
		}
		var err error
		for range 100 { // wait until it listens
			cmd := e.ns.Command("wg", args...)
			cmd.Stdin = strings.NewReader(e.secret + "\n")
			var out []byte
			if out, err = cmd.CombinedOutput(); err == nil {
				break
			}
			err = fmt.Errorf("wg %s: %w: %s", strings.Join(args, " "), err, out)
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
