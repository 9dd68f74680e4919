# `make run` starts the whole chat on this machine; `make test` checks everything. Both install what they need.

.PHONY: run test check e2e docs page bench soak package deny
.DEFAULT_GOAL := run

run: page
	cargo run --quiet --bin chat

test check e2e docs bench soak package deny:
	.ci/$@

# The page is built again when one of its sources is newer, so that a second `make run` does not wait for it.
page: content/dist/index.html

content/dist/index.html: content/node_modules/.package-lock.json $(shell find content/src content/public content/*.html content/*.ts -type f)
	npm --prefix content run build
	touch $@

content/node_modules/.package-lock.json: content/package-lock.json
	npm --prefix content ci --no-audit --no-fund
	touch $@
