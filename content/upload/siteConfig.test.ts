// @vitest-environment node
import { describe, expect, it } from 'vitest'
import { buildSiteConfig } from './siteConfig'
import { UploadError } from './uploadError'

const LOCAL = '{"apiBaseUrl":"http://localhost:7071","authProvider":"aad"}'
const CLOUD = '{"apiBaseUrl":"https://chat.azurewebsites.net","authProvider":"my-own-oidc","custom":"value"}'

function errorOf(built: string, wanted: Parameters<typeof buildSiteConfig>[1] = {}): string {
  try {
    buildSiteConfig(built, wanted)
  } catch (error) {
    if (error instanceof UploadError && error.exitCode === 78) return error.message
  }
  return ''
}

describe('the uploaded config.json', () => {
  it('has the values of the arguments', () => {
    const text = buildSiteConfig(LOCAL, { api: 'https://chat.azurewebsites.net/', provider: 'github' })
    expect(JSON.parse(text)).toEqual({ apiBaseUrl: 'https://chat.azurewebsites.net', authProvider: 'github' })
  })

  it('is the one of the build without arguments', () => {
    expect(JSON.parse(buildSiteConfig(CLOUD, {}))).toEqual(JSON.parse(CLOUD))
  })

  it('may contain localhost only if the arguments do', () => {
    expect(errorOf(LOCAL)).toMatch(/own machine.*--api/s)
    expect(errorOf(LOCAL, { provider: 'x' })).toMatch(/--api/)
    expect(buildSiteConfig(CLOUD, { api: 'http://127.0.0.1:7071' })).toContain('http://127.0.0.1:7071')
  })

  it.each(['http://chat.azurewebsites.net', 'chat.azurewebsites.net', 'https://me:secret@chat.azurewebsites.net', ''])('rejects %j without repeating it', (api) => {
    expect(errorOf(CLOUD, { api })).toMatch(/apiBaseUrl must/)
    expect(errorOf(CLOUD, { api })).not.toContain('secret')
  })

  it.each(['', '[]', 'null', '{"apiBaseUrl":'])('rejects a build whose config.json is %j', (built) => {
    expect(errorOf(built, { api: 'https://chat.azurewebsites.net', provider: 'aad' })).toMatch(/one JSON object/)
  })
})
