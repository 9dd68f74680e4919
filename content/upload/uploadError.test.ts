// @vitest-environment node
import { CredentialUnavailableError } from '@azure/identity'
import { RestError } from '@azure/storage-blob'
import { describe, expect, it } from 'vitest'
import { toUploadError, type UploadContext } from './uploadError'

const SIGNED = 'The MAC signature found in the HTTP request is not the same: string to sign was secret'
const CONTEXT: UploadContext = { name: 'chatpages', endpoint: 'https://chatpages.blob.core.windows.net', signIn: 'identity', step: 'files' }

function errorOf(statusCode: number | undefined, code: string, context: Partial<UploadContext> = {}): [number, string] {
  const { exitCode, message } = toUploadError(new RestError(SIGNED, { code, ...(statusCode !== undefined && { statusCode }) }), { ...CONTEXT, ...context })
  return [exitCode, message]
}

describe('the error of an upload', () => {
  it('is a missing sign-in', () => {
    const failure = toUploadError(new CredentialUnavailableError('x'), CONTEXT)
    expect([failure.exitCode, failure.message]).toEqual([67, expect.stringContaining('az login')])
    expect(errorOf(401, 'InvalidAuthenticationInfo')).toEqual([67, expect.stringContaining('--tenant')])
  })

  it('is a missing role, which differs for the website and the files', () => {
    expect(errorOf(403, 'AuthorizationPermissionMismatch')).toEqual([77, expect.stringContaining('"Storage Blob Data Contributor"')])
    expect(errorOf(403, 'AuthorizationPermissionMismatch', { step: 'website' })).toEqual([77, expect.stringMatching(/--no-website[^]*"Storage Account Contributor"/)])
  })

  it('is a firewall, a wrong key, or a key that is not accepted', () => {
    expect(errorOf(403, 'AuthorizationFailure')).toEqual([77, expect.stringContaining('firewall')])
    expect(errorOf(403, 'AuthenticationFailed', { signIn: 'connection string' })).toEqual([77, expect.stringContaining('refuses the key')])
    expect(errorOf(403, 'KeyBasedAuthenticationNotPermitted', { signIn: 'connection string' })).toEqual([77, expect.stringContaining('does not accept keys')])
  })

  it('is an account that does not exist', () => {
    expect(errorOf(undefined, 'ENOTFOUND')).toEqual([69, expect.stringContaining('cannot be reached')])
    expect(errorOf(undefined, 'REQUEST_SEND_ERROR')).toEqual([69, expect.stringContaining('chatpages')])
    expect(errorOf(404, 'ResourceNotFound')).toEqual([69, expect.stringContaining('no account')])
  })

  it('contains the code of any other error', () => {
    expect(errorOf(503, 'ServerBusy')).toEqual([70, expect.stringContaining('503 (ServerBusy')])
  })

  it('never contains the message of the service', () => {
    for (const status of [400, 401, 403, 404, 409, 500]) expect(errorOf(status, 'X').join()).not.toContain('secret')
  })

  it('is rethrown if it is a programming error', () => {
    expect(() => toUploadError(new TypeError('x'), CONTEXT)).toThrow(TypeError)
  })
})
