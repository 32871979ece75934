# SPDX-License-Identifier: GPL-2.0-or-later
#
# The parts of the feed's golang-package.mk that the recipe needs, for recipe_test.go: the
# names of its variables, and the flags that the recipe must override: cgo and an external
# linker. The test sets GO_ARCH and similar variables.

GO_PKG_BUILD_DIR=$(PKG_BUILD_DIR)/.go_work/build
GO_PKG_BUILD_BIN_DIR=$(GO_PKG_BUILD_DIR)/bin$(if $(GO_HOST_TARGET_DIFFERENT),/linux_$(GO_ARCH))

GO_PKG_TARGET_VARS= \
	GOOS="linux" \
	GOARCH="$(GO_ARCH)" \
	GO386="$(GO_386)" \
	GOARM="$(GO_ARM)" \
	GOMIPS="$(GO_MIPS)" \
	CGO_ENABLED=1 \
	CC="$(TARGET_CC)" \
	CGO_LDFLAGS="$(TARGET_LDFLAGS)"

GO_PKG_VARS= \
	$(GO_PKG_TARGET_VARS) \
	GOPATH="$(GO_PKG_BUILD_DIR)" \
	GOCACHE="$(GO_BUILD_CACHE_DIR)" \
	GOMODCACHE="$(GO_MOD_CACHE_DIR)" \
	GOENV=off \
	GOTOOLCHAIN=local

GO_PKG_INSTALL_ARGS= \
	-v -buildvcs=false -trimpath \
	-ldflags "all=-buildid '1' -linkmode external -extldflags '$(TARGET_LDFLAGS)'" \
	$(if $(GO_MIPS),-installsuffix "$(GO_MIPS)") \
	$(if $(strip $(GO_PKG_LDFLAGS_X)),-ldflags "$(patsubst %,-X %,$(GO_PKG_LDFLAGS_X)) -linkmode external")

define GoPackage/Build/Compile
	mkdir -p $(GO_PKG_BUILD_DIR) && cd $(GO_PKG_BUILD_DIR) && \
		$(GO_PKG_VARS) go install $(GO_PKG_INSTALL_ARGS) $(1) $(GO_PKG_BUILD_PKG)
endef

define GoPackage/Package/Install/Bin
	install -d -m0755 $(1)$(GO_PKG_INSTALL_BIN_PATH)
	install -m0755 $(GO_PKG_BUILD_BIN_DIR)/* $(1)$(GO_PKG_INSTALL_BIN_PATH)/
endef

define GoBinPackage
endef
