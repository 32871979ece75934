# SPDX-License-Identifier: GPL-2.0-or-later
#
# The parts of OpenWrt's rules.mk that the recipe needs, for recipe_test.go.

INCLUDE_DIR:=$(TOPDIR)/include
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
INSTALL_CONF:=install -m0600
TARGET_CC:=no-c-compiler
TARGET_LDFLAGS:=-L/nowhere -znow
RSTRIP:=false
