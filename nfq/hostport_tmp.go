package nfq

// HostPort tmp
type HostPort struct {
	Addr  Addr
	Proto uint8
	Port  uint16
}
