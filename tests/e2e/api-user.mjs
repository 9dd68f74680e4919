// A person who uses the API without a page.

import assert from 'node:assert/strict'

/** Signs in to the stack as `name`; without a name it is the guest `nickname`. */
export async function apiUser({ apiUrl }, name, nickname) {
  const headers = { 'Content-Type': 'application/json' }
  if (name !== undefined) {
    const response = await fetch(`${apiUrl}/.auth/login/aad`, { method: 'POST', headers, body: JSON.stringify({ access_token: name }) })
    headers['X-ZUMO-AUTH'] = (await response.json()).authenticationToken
  }
  return {
    /** Sends a message to everyone, or `to` a `room` or a `recipient`; resolves with the message as published. */
    async sends(text, to = {}) {
      const response = await fetch(`${apiUrl}/api/messages`, { method: 'POST', headers, body: JSON.stringify({ text, nickname, ...to }) })
      assert.equal(response.status, 202, await response.clone().text())
      return response.json()
    },
    async removes({ at, room }) {
      const query = room === undefined ? '' : `?room=${room}`
      const response = await fetch(`${apiUrl}/api/messages/${at}${query}`, { method: 'DELETE', headers })
      assert.ok(response.ok, await response.text())
    },
  }
}
