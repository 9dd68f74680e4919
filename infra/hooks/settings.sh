#!/bin/sh
# Validates the values of `azd env set` before provisioning. Azure accepts a provider without a client id, a secret in place of its URL,
# unknown scopes and names that no room can have; the first two fail at the first sign-in, the others when the handler starts.
set -euf

provider=${CHAT_AUTH_PROVIDER:-aad}
client=${CHAT_AUTH_CLIENT_ID:-}
secret=${CHAT_AUTH_SECRET_URI:-}
store=${CHAT_TOKEN_STORE_SAS_URI:-}

fail() {
  echo "settings: $1" >&2
  exit 1
}

# A secret in Key Vault has a URL without a query; a SAS URL has one.
is_secret_url() {
  case $1 in
  *\?*) return 1 ;;
  https://?*/secrets/?*) return 0 ;;
  *) return 1 ;;
  esac
}

case $provider in
aad)
  [ -z "$secret" ] || fail "CHAT_AUTH_SECRET_URI is for other providers; aad needs no secret. Unset it, or set CHAT_AUTH_PROVIDER."
  ;;
apple | facebook | github | google | x)
  [ -n "$client" ] || fail "with CHAT_AUTH_PROVIDER=$provider, set CHAT_AUTH_CLIENT_ID to the client id of your application there."
  is_secret_url "$secret" ||
    fail "with CHAT_AUTH_PROVIDER=$provider, set CHAT_AUTH_SECRET_URI to https://VAULT.vault.azure.net/secrets/NAME, never to the secret."
  ;;
*)
  fail "CHAT_AUTH_PROVIDER is one of aad, apple, facebook, github, google, x."
  ;;
esac

[ -z "$store" ] || is_secret_url "$store" ||
  fail "set CHAT_TOKEN_STORE_SAS_URI to https://VAULT.vault.azure.net/secrets/NAME, never to the SAS URL itself, or unset it."

for scope in ${CHAT_ACCESS_TOKEN_SCOPES:-}; do
  case $scope in
  chat | chat.join | chat.join.limited | voip | voip.join) ;;
  *) fail "CHAT_ACCESS_TOKEN_SCOPES is a list of chat, chat.join, chat.join.limited, voip, voip.join, separated by spaces." ;;
  esac
done

case ${CHAT_ROOMS:-} in
'' | '*') ;;
,* | *, | *,,* | *[!A-Za-z0-9_,-]*)
  fail "CHAT_ROOMS is * or names of letters, digits, - and _, separated by commas without spaces, like games,support."
  ;;
esac
case ,${CHAT_ROOMS:-}, in
*,[Ee][Vv][Ee][Rr][Yy][Oo][Nn][Ee],*) fail "CHAT_ROOMS must not list everyone, which is reserved: it is there without the setting." ;;
esac
