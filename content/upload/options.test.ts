// @vitest-environment node
import { describe, expect, it } from 'vitest'
import { parseOptions } from './options'

function problemsOf(...args: string[]): string[] {
  const parsed = parseOptions(args)
  return parsed.kind === 'invalid' ? parsed.problems : []
}

describe('the arguments', () => {
  it('require only the account', () => {
    expect(parseOptions(['--account', 'chatpages'])).toEqual({
      kind: 'run', options: { account: 'chatpages', website: true, dryRun: false },
    })
  })

  it('contain all options', () => {
    const args = ['--account=chatpages', '--api=https://a.example', '--provider=x', '--endpoint=https://b.example', '--dist=d', '--no-website', '--dry-run']
    expect(parseOptions(args)).toEqual({
      kind: 'run',
      options: { account: 'chatpages', api: 'https://a.example', provider: 'x', endpoint: 'https://b.example', dist: 'd', website: false, dryRun: true },
    })
  })

  it('may ask for help beside invalid ones', () => {
    expect(parseOptions(['--account', '?', '--help']).kind).toBe('help')
  })

  it.each(['', 'ab', 'Chat', 'chat-pages', 'https://chatpages.blob.core.windows.net', 'a'.repeat(25)])('reject %j as an account', (account) => {
    expect(problemsOf('--account', account)).toEqual([expect.stringMatching(/^--account /)])
  })

  it.each(['http://a.example', 'a.example', 'https://a.example/b', 'https://a.example?sig=secret', 'https://me:secret@a.example'])(
    'reject %j as an endpoint without repeating it', (endpoint) => {
      const problems = problemsOf('--account', 'chatpages', '--endpoint', endpoint)
      expect(problems).toEqual([expect.stringMatching(/^--endpoint /)])
      expect(problems[0]).not.toContain('secret')
    })

  it('report all errors at once', () => {
    expect(problemsOf('--provider', 'add', '--endpoint', 'x')).toHaveLength(3)
  })

  it.each([['--acount'], ['--account'], ['chatpages'], ['--dry-run=yes']])('reject unknown arguments: %j', (arg) => {
    expect(problemsOf(arg)).toHaveLength(1)
  })
})
