// The main path in Debian's Firefox: signing in, writing, private messages, the history after a reload, and a reconnect.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLocalStack } from './processes.mjs'
import { restartableService } from './faulty-stack.mjs'
import { useFirefox } from './firefox-user.mjs'

const firefox = useFirefox()
const ANN = 'ann@example.com'
const BEN = 'ben@example.com'

test('in Firefox, people write to everyone and in private, read it again after a reload, and reconnect', async (t) => {
  const service = await restartableService(t)
  const chat = await startLocalStack(t, { AzureSignalRConnectionString: service.connection })
  const [ann, ben] = [await firefox.newUser(chat, ANN), await firefox.newUser(chat, BEN)]
  await ann.sends('Good morning')
  await ben.sees('Good morning')
  await ben.writesTo(ANN)
  await ben.sends('Only for you')
  await ann.opens(/ben@example\.com/)
  await ann.sees('Only for you')

  for (const person of [ann, ben]) {
    await person.reload()
    await person.opens(/Everyone/)
    await person.sees('Good morning')
  }
  await ann.opens(/ben@example\.com/)
  await ann.sees('Only for you')
  await ann.opens(/Everyone/)

  await service.kill()
  await ann.sends('Meanwhile')
  await service.start()
  for (const person of [ann, ben]) await person.isOnline()
  await ben.sees('Meanwhile')
  await ben.sends('Back again')
  await ann.sees('Back again')
  for (const person of [ann, ben]) {
    for (const text of ['Good morning', 'Meanwhile', 'Back again']) assert.equal(await person.count(text), 1, text)
  }
})
