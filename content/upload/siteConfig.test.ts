// @vitest-environment node
import { describe, expect, it } from 'vitest'
import { siteConfig } from './siteConfig'
import { Failure } from './uploadError'

const LOCAL = '{"apiBaseUrl":"http://localhost:7071","authProvider":"aad"}'
const CLOUD = '{"apiBaseUrl":"https://chat.azurewebsites.net","authProvider":"my-own-oidc","motto":"kept"}'

function refusal(built: string, wanted: Parameters<typeof siteConfig>[1] = {}): string {
  try {
    siteConfig(built, wanted)
  } catch (error) {
    if (error instanceof Failure && error.exitCode === 78) return error.message
  }
  return ''
}

describe('config.json as it goes up', () => {
  it('has what was asked for in place of what was built', () => {
    const text = siteConfig(LOCAL, { api: 'https://chat.azurewebsites.net/', provider: 'github' })
    expect(JSON.parse(text)).toEqual({ apiBaseUrl: 'https://chat.azurewebsites.net', authProvider: 'github' })
  })

  it('is the one of the build when nothing is asked for', () => {
    expect(JSON.parse(siteConfig(CLOUD, {}))).toEqual(JSON.parse(CLOUD))
  })

  it('may name this machine only when that is what was asked for', () => {
    expect(refusal(LOCAL)).toMatch(/own machine.*--api/s)
    expect(refusal(LOCAL, { provider: 'x' })).toMatch(/--api/)
    expect(siteConfig(CLOUD, { api: 'http://127.0.0.1:7071' })).toContain('http://127.0.0.1:7071')
  })

  it.each(['http://chat.azurewebsites.net', 'chat.azurewebsites.net', 'https://me:secret@chat.azurewebsites.net', ''])('refuses %j, without repeating it', (api) => {
    expect(refusal(CLOUD, { api })).toMatch(/apiBaseUrl must/)
    expect(refusal(CLOUD, { api })).not.toContain('secret')
  })

  it.each(['', '[]', 'null', '{"apiBaseUrl":'])('refuses to mend a build whose config.json is %j', (built) => {
    expect(refusal(built, { api: 'https://chat.azurewebsites.net', provider: 'aad' })).toMatch(/one JSON object/)
  })
})
