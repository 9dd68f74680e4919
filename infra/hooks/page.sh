#!/bin/sh
# Builds the page and uploads it with a config.json for this deployment. It uses the sign-in of the current user
# (DefaultAzureCredential). azd sets the CHAT_ variables from the outputs of infra/main.bicep.
set -eu
cd "$(dirname "$0")/../.."

for name in CHAT_STORAGE_ACCOUNT CHAT_API_URL CHAT_AUTH_PROVIDER CHAT_PAGE_URL; do
  eval "value=\${$name:-}"
  if [ -z "$value" ]; then
    echo "page: $name is not set; run \`azd provision\` first, or \`azd env refresh\` if it ran on another machine." >&2
    exit 1
  fi
done

make page

# infra/modules/storage.bicep enables the static website, which needs more permissions than an upload.
upload() {
  npm --prefix content run upload -- --no-website \
    --account "$CHAT_STORAGE_ACCOUNT" --api "$CHAT_API_URL" --provider "$CHAT_AUTH_PROVIDER"
}

# 77 is "no permission". A new role assignment takes some minutes to become effective.
tries=6
while :; do
  status=0
  upload || status=$?
  tries=$((tries - 1))
  [ "$status" -eq 77 ] && [ "$tries" -gt 0 ] || break
  echo "page: trying again in ${CHAT_UPLOAD_PAUSE:-30} seconds, in case a new role assignment is not effective yet." >&2
  sleep "${CHAT_UPLOAD_PAUSE:-30}"
done
[ "$status" -eq 0 ] || exit "$status"

echo "The chat is at $CHAT_PAGE_URL"
