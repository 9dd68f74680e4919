# `make run` runs the chat on this machine; `make test` runs all checks. Both install what they need.

.PHONY: run test check e2e docs page bench package
.DEFAULT_GOAL := run

run: page
	cargo run --quiet --bin chat

test check e2e docs bench package:
	.ci/$@

# Builds the page if one of its sources is newer.
page: content/dist/index.html

content/dist/index.html: content/node_modules/.package-lock.json $(shell find content/src content/public content/*.html content/*.ts -type f)
	npm --prefix content run build
	touch $@

content/node_modules/.package-lock.json: content/package-lock.json
	npm --prefix content ci --no-audit --no-fund
	touch $@
