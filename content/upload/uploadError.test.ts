// @vitest-environment node
import { CredentialUnavailableError } from '@azure/identity'
import { RestError } from '@azure/storage-blob'
import { describe, expect, it } from 'vitest'
import { explain, type Place } from './uploadError'

const SIGNED = 'The MAC signature found in the HTTP request is not the same: string to sign was secret'
const PLACE: Place = { name: 'chatpages', endpoint: 'https://chatpages.blob.core.windows.net', signIn: 'identity', step: 'files' }

function told(statusCode: number | undefined, code: string, place: Partial<Place> = {}): [number, string] {
  const { exitCode, message } = explain(new RestError(SIGNED, { code, ...(statusCode !== undefined && { statusCode }) }), { ...PLACE, ...place })
  return [exitCode, message]
}

describe('what goes wrong', () => {
  it('is a missing sign-in', () => {
    const failure = explain(new CredentialUnavailableError('x'), PLACE)
    expect([failure.exitCode, failure.message]).toEqual([67, expect.stringContaining('az login')])
    expect(told(401, 'InvalidAuthenticationInfo')).toEqual([67, expect.stringContaining('--tenant')])
  })

  it('is a missing role, another one for the website than for the files', () => {
    expect(told(403, 'AuthorizationPermissionMismatch')).toEqual([77, expect.stringContaining('"Storage Blob Data Contributor"')])
    expect(told(403, 'AuthorizationPermissionMismatch', { step: 'website' })).toEqual([77, expect.stringMatching(/--no-website[^]*"Storage Account Contributor"/)])
  })

  it('is a firewall, a wrong key, or a key where none is taken', () => {
    expect(told(403, 'AuthorizationFailure')).toEqual([77, expect.stringContaining('firewall')])
    expect(told(403, 'AuthenticationFailed', { signIn: 'connection string' })).toEqual([77, expect.stringContaining('refuses the key')])
    expect(told(403, 'KeyBasedAuthenticationNotPermitted', { signIn: 'connection string' })).toEqual([77, expect.stringContaining('takes no keys')])
  })

  it('is an account that is not there', () => {
    expect(told(undefined, 'ENOTFOUND')).toEqual([69, expect.stringContaining('cannot be reached')])
    expect(told(undefined, 'REQUEST_SEND_ERROR')).toEqual([69, expect.stringContaining('chatpages')])
    expect(told(404, 'ResourceNotFound')).toEqual([69, expect.stringContaining('no account')])
  })

  it('is anything else, told by its code', () => {
    expect(told(503, 'ServerBusy')).toEqual([70, expect.stringContaining('503 (ServerBusy')])
  })

  it('never tells what the service said', () => {
    for (const status of [400, 401, 403, 404, 409, 500]) expect(told(status, 'X').join()).not.toContain('secret')
  })

  it('is thrown on when it is a mistake of ours', () => {
    expect(() => explain(new TypeError('x'), PLACE)).toThrow(TypeError)
  })
})
