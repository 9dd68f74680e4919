// @vitest-environment node
import { describe, expect, it } from 'vitest'
import { readOptions } from './options'

function problemsOf(...args: string[]): string[] {
  const asked = readOptions(args)
  return asked.kind === 'bad' ? asked.problems : []
}

describe('the arguments', () => {
  it('need no more than the account', () => {
    expect(readOptions(['--account', 'chatpages'])).toEqual({
      kind: 'run', options: { account: 'chatpages', website: true, dryRun: false },
    })
  })

  it('carry everything else', () => {
    const args = ['--account=chatpages', '--api=https://a.example', '--provider=x', '--endpoint=https://b.example', '--dist=d', '--no-website', '--dry-run']
    expect(readOptions(args)).toEqual({
      kind: 'run',
      options: { account: 'chatpages', api: 'https://a.example', provider: 'x', endpoint: 'https://b.example', dist: 'd', website: false, dryRun: true },
    })
  })

  it('may ask for help, however wrong the rest is', () => {
    expect(readOptions(['--account', '?', '--help']).kind).toBe('help')
  })

  it.each(['', 'ab', 'Chat', 'chat-pages', 'https://chatpages.blob.core.windows.net', 'a'.repeat(25)])('refuse %j as an account', (account) => {
    expect(problemsOf('--account', account)).toEqual([expect.stringMatching(/^--account /)])
  })

  it.each(['http://a.example', 'a.example', 'https://a.example/b', 'https://a.example?sig=secret', 'https://me:secret@a.example'])(
    'refuse %j as an endpoint, without repeating it', (endpoint) => {
      const problems = problemsOf('--account', 'chatpages', '--endpoint', endpoint)
      expect(problems).toEqual([expect.stringMatching(/^--endpoint /)])
      expect(problems[0]).not.toContain('secret')
    })

  it('tell every mistake at once', () => {
    expect(problemsOf('--provider', 'add', '--endpoint', 'x')).toHaveLength(3)
  })

  it.each([['--acount'], ['--account'], ['chatpages'], ['--dry-run=yes']])('refuse what they do not know: %j', (arg) => {
    expect(problemsOf(arg)).toHaveLength(1)
  })
})
