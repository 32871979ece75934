module github.com/p2pwall/p2pwall/openwrt/lean

go 1.26.0
