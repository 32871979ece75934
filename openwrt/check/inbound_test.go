// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"os"
	"testing"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestInboundNFT(t *testing.T) {
	chain := func(policy, rules string) string {
		return "table inet filter {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1 }\n\t}\n\n\tchain forward {\n" +
			"\t\ttype filter hook forward priority filter; policy " + policy + ";\n" + rules + "\n\t}\n" +
			"\tchain refuse {\n\t\tmeta l4proto tcp reject with tcp reset comment \"a drop\"\n\t\treject\n\t}\n" +
			"\tchain ports {\n\t\ttcp dport 22 accept\n\t}\n}\n"
	}
	for _, c := range []struct {
		name, text string
		six        bool
		want       outcome
	}{
		{"no rules", "", false, outcomeNone},
		{"policy drop", chain("drop", "ct state established,related accept"), false, outcomeClosed},
		{"policy accept", chain("accept", "ct state established,related accept"), false, outcomeOpen},
		{"from the WAN dropped", chain("accept", `iifname "wan" ct state new counter packets 1 bytes 2 drop comment "x"`), false, outcomeClosed},
		{"from the LAN dropped", chain("accept", `iifname "br-lan" drop`), false, outcomeOpen},
		{"only the LAN may", chain("accept", `iifname != "br-lan" oifname { "br-lan", "br-guest" } drop`), false, outcomeClosed},
		{"accepted before the policy", chain("drop", `iifname "wan" accept`), false, outcomeOpen},
		{"one port accepted", chain("drop", `iifname "wan" tcp dport 22 accept`), false, outcomeClosed},
		{"one port dropped", chain("accept", `iifname "wan" tcp dport 1214 drop`), false, outcomeUnknown},
		{"a set of devices", chain("drop", `iifname @lan accept`), false, outcomeClosed},
		{"jump that rejects", chain("accept", `iifname "wan" jump refuse`), false, outcomeClosed},
		{"jump that does not", chain("drop", "jump ports\niifname \"w*\" accept"), false, outcomeOpen},
		{"goto ends", chain("drop", "goto ports\naccept"), false, outcomeClosed},
		{"state map", chain("drop", "ct state vmap { established : accept, related : accept }"), false, outcomeClosed},
		{"IPv6 only", chain("accept", "meta nfproto ipv6 drop"), false, outcomeOpen},
		{"IPv6", chain("accept", "meta nfproto ipv6 drop"), true, outcomeClosed},
		{"ours says nothing", "table inet p2pwall {\n\tchain forward {\n\t\ttype filter hook forward priority -10; policy drop;\n\t}\n}\n", false, outcomeNone},
		{"two tables", chain("accept", "") + "table ip other {\n\tchain f {\n\t\ttype filter hook forward priority 5; policy drop;\n\t}\n}\n", false, outcomeClosed},
		{"another family", "table ip6 other {\n\tchain f {\n\t\ttype filter hook forward priority 5; policy drop;\n\t}\n}\n", false, outcomeNone},
		{"fw4", readFile(t, "testdata/inbound/fw4.nft"), false, outcomeClosed},
		{"fw4, IPv6", readFile(t, "testdata/inbound/fw4.nft"), true, outcomeClosed},
		{"fw4 with WAN to LAN allowed", readFile(t, "testdata/inbound/fw4-open.nft"), false, outcomeOpen},
		{"iptables by nft", readFile(t, "testdata/inbound/iptables-nft.nft"), false, outcomeClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseNFT(c.text, inboundPacket{"wan", "br-lan", c.six}).inbound(); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestInboundIPTables(t *testing.T) {
	table := func(policy, rules string) string {
		return "*filter\n:INPUT DROP [0:0]\n:FORWARD " + policy + " [0:0]\n:reject - [0:0]\n" + rules +
			"\n-A reject -p tcp -j REJECT --reject-with tcp-reset\n-A reject -j REJECT\nCOMMIT\n"
	}
	for _, c := range []struct {
		name, text string
		want       outcome
	}{
		{"no rules", "", outcomeOpen},
		{"policy drop", table("DROP", ""), outcomeClosed},
		{"policy accept", table("ACCEPT", ""), outcomeOpen},
		{"established accepted", table("DROP", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"), outcomeClosed},
		{"new from the WAN dropped", table("ACCEPT", `-A FORWARD -i wan -m comment --comment "a -j b" -m state --state NEW -j DROP`), outcomeClosed},
		{"all but the LAN", table("ACCEPT", "-A FORWARD ! -i br-lan -o br-lan -j REJECT --reject-with icmp-port-unreachable"), outcomeClosed},
		{"a port", table("ACCEPT", "-A FORWARD -i wan -p tcp -m tcp --dport 1214 -j DROP"), outcomeUnknown},
		{"a negated port", table("ACCEPT", "-A FORWARD -i wan -p tcp -m tcp ! --dport 1214 -j DROP"), outcomeUnknown},
		{"a flag without an argument", table("ACCEPT", "-A FORWARD -m socket --nowildcard -i br-lan -j DROP"), outcomeOpen},
		{"a forwarded port", table("DROP", "-A FORWARD -i wan -p tcp -m tcp --dport 80 -j ACCEPT"), outcomeClosed},
		{"UDP", table("ACCEPT", "-A FORWARD -p udp -j DROP"), outcomeOpen},
		{"everything accepted", table("DROP", "-A FORWARD -i w+ -j ACCEPT"), outcomeOpen},
		{"a chain", table("ACCEPT", "-A FORWARD -i wan -g reject"), outcomeClosed},
		{"a target that is no verdict", table("ACCEPT", "-A FORWARD -i wan -j LOG --log-prefix \"DROP \""), outcomeOpen},
		{"fw3", readFile(t, "testdata/inbound/fw3.save"), outcomeClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseIPTables(c.text, inboundPacket{"wan", "br-lan", false}).inbound(); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func FuzzInbound(f *testing.F) {
	for _, n := range []string{"fw4.nft", "iptables-nft.nft", "fw3.save"} {
		b, err := os.ReadFile("testdata/inbound/" + n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add("table inet a {\nchain f {\ntype filter hook forward\njump f\nmeta\nct state\niifname !=\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := inboundPacket{"wan", "br-lan", false}
		parseNFT(text, p).inbound()
		parseIPTables(text, p).inbound()
	})
}
