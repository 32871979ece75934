// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// mule is an aMule daemon.
type mule struct {
	ns      *netns.Namespace
	dir     string // its home folder
	resolv  string
	current bool       // the version in the newest Debian
	bind    netip.Addr // its address; the zero value means all
	tcp     uint16     // port
	udp     uint16     // port; 0 means no UDP
	server  netip.AddrPort
	contact []kadContact // Kad contacts that it knows; none means no Kad
	self    [16]byte     // its Kad ID
	rpc     uint16       // for its remote control on 127.0.0.1; aMule does not start without one
	upload  int          // KiB/s; 0 means no limit
	hides   bool         // accepts and makes only obfuscated connections
	plain   bool         // makes no obfuscated connections

	*lab.Process
}

// kadContact is a Kad node.
type kadContact struct {
	id       [16]byte
	addr     netip.Addr
	udp, tcp uint16
}

// muleVersion is the Kad version of the contacts, that of eMule 0.49b and later.
const muleVersion = 8

func (m *mule) config() string   { return filepath.Join(m.dir, ".aMule") }
func (m *mule) incoming() string { return filepath.Join(m.dir, "incoming") }

// write writes its settings.
func (m *mule) write() error {
	for _, d := range []string{m.config(), m.incoming(), filepath.Join(m.dir, "temp")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	bit := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	bind := ""
	if m.bind.IsValid() {
		bind = m.bind.String()
	}
	udp := m.udp
	if udp == 0 {
		udp = 4672
	}
	conf := fmt.Sprintf(`[eMule]
AppVersion=2.3.3
Nick=lab
MaxUpload=%d
MaxDownload=1000
SlotAllocation=100
Port=%d
UDPPort=%d
UDPEnable=%d
Address=%s
Autoconnect=1
Reconnect=1
ConnectToED2K=1
ConnectToKad=%d
AddServerListFromServer=0
AddServerListFromClient=0
SafeServerConnect=0
UPnPEnabled=0
FilterLanIPs=0
NewVersionCheck=0
CheckDiskspace=0
TempDir=%s
IncomingDir=%s
[ExternalConnect]
AcceptExternalConnections=1
ECAddress=127.0.0.1
ECPort=%d
ECPassword=5f4dcc3b5aa765d61d8327deb882cf99
[Obfuscation]
IsClientCryptLayerSupported=%d
IsCryptLayerRequested=%d
IsClientCryptLayerRequired=%d
`, m.upload, m.tcp, udp, bit(m.udp != 0), bind, bit(len(m.contact) > 0), filepath.Join(m.dir, "temp"), m.incoming(),
		m.rpc, bit(!m.plain), bit(!m.plain), bit(m.hides))
	files := map[string][]byte{
		"amule.conf": []byte(conf),
		"server.met": m.serverMet(),
		"nodes.dat":  m.nodes(),
	}
	if m.self != [16]byte{} {
		files["preferencesKad.dat"] = append(append(make([]byte, 6), m.self[:]...), 0)
		// Its user hash. Two that start in the same second would make the same one.
		hash := m.self
		hash[5], hash[14] = 0x0e, 0x6f // as all such programs
		files["preferences.dat"] = append([]byte{0x14}, hash[:]...)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(m.config(), name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// serverMet is the server list. It has one server, which accepts obfuscated connections.
func (m *mule) serverMet() []byte {
	b := []byte{0x0e, 1, 0, 0, 0}
	a := m.server.Addr().As4()
	b = binary.LittleEndian.AppendUint16(append(b, a[:]...), m.server.Port())
	b = append(b, 3, 0, 0, 0)
	number := func(name byte, v uint32) {
		b = binary.LittleEndian.AppendUint32(append(b, 3, 1, 0, name), v)
	}
	number(0x92, donkeyHides)
	number(0x97, uint32(m.server.Port()))
	return append(append(b, 2, 1, 0, 1, 3, 0), "lab"...)
}

// nodes is the list of Kad contacts.
func (m *mule) nodes() []byte {
	b := binary.LittleEndian.AppendUint32([]byte{0, 0, 0, 0, 2, 0, 0, 0}, uint32(len(m.contact)))
	for _, c := range m.contact {
		a := c.addr.As4()
		b = append(append(b, c.id[:]...), a[3], a[2], a[1], a[0])
		b = binary.LittleEndian.AppendUint16(b, c.udp)
		b = binary.LittleEndian.AppendUint16(b, c.tcp)
		b = append(b, muleVersion)
		b = append(b, make([]byte, 8)...) // no key
		b = append(b, 1)                  // its address is verified
	}
	return b
}

// start starts the daemon. The lab's Close ends it.
func (m *mule) start(l *lab.Lab) error {
	if err := m.write(); err != nil {
		return err
	}
	args := []string{"--config-dir=" + m.config()}
	var cmd *exec.Cmd
	if m.current {
		root, err := treeOf(mulePackages)
		if err != nil {
			return err
		}
		cmd = inTree(m.ns, root, filepath.Dir(m.dir), m.resolv, "amuled", args...)
	} else {
		cmd = inNamespace(m.ns, m.resolv, "amuled", args...)
	}
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "HOME="+m.dir, "LC_ALL=C.UTF-8")
	p, err := l.Start(cmd)
	if err != nil {
		return err
	}
	p.Polite = syscall.SIGINT
	m.Process = p
	return nil
}

// download makes aMule download the file of a link. aMule reads links from a file in its
// configuration folder.
func (m *mule) download(link string) error {
	f, err := os.OpenFile(filepath.Join(m.config(), "ED2KLinks"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(link + "\n")
	return err
}

// donkeyLink is the ed2k link of a file.
func donkeyLink(name string, size int, hash [16]byte) string {
	return fmt.Sprintf("ed2k://|file|%s|%d|%s|/", name, size, strings.ToUpper(hex.EncodeToString(hash[:])))
}
