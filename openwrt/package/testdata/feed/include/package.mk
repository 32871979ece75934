# SPDX-License-Identifier: GPL-2.0-or-later
#
# The parts of OpenWrt's package.mk that the recipe needs, for recipe_test.go. "install-NAME"
# builds, installs into $(DESTDIR)/NAME like a package, and strips there. As in the original,
# make expands the steps of the installation twice. "fields-NAME" prints the package's fields.

.PHONY: compile
compile:
	$(call Build/Compile)

define BuildPackage
.PHONY: install-$(1) fields-$(1)
install-$(1): compile
	$(call Package/$(1)/install,$$(DESTDIR)/$(1))
	$$(RSTRIP) $$(DESTDIR)/$(1)
fields-$(1):
	@:$$(foreach n,PKG_VERSION PKG_RELEASE PKG_LICENSE PKG_HASH PKG_COMMIT,$$(info $$(n)=$$($$(n))))
	@:$$(info $$(Package/$(1)))
	@:$$(info postrm=$$(Package/$(1)/postrm)=)
	@:$$(info conffiles=$$(Package/$(1)/conffiles)=)
endef
