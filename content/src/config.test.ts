import { describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from './config'

const good = { apiBaseUrl: 'https://my-chat.azurewebsites.net', authProvider: 'aad' }

function problemsOf(raw: unknown): string[] {
  const parsed = parseConfig(raw)
  return parsed.kind === 'invalid' ? parsed.problems : []
}

describe('config.json', () => {
  it('is accepted if it is valid', () => {
    expect(parseConfig(good)).toEqual({ kind: 'valid', config: good })
  })

  it.each([
    ['https://a.example/', 'https://a.example'],
    ['https://a.example/chat//', 'https://a.example/chat'],
    ['http://localhost:7071', 'http://localhost:7071'],
    ['http://127.0.0.1:7071/', 'http://127.0.0.1:7071'],
  ])('reads %s as %s', (apiBaseUrl, expected) => {
    expect(parseConfig({ ...good, apiBaseUrl })).toEqual({ kind: 'valid', config: { ...good, apiBaseUrl: expected } })
  })

  it.each([
    undefined, '', 42, '/api', 'my-chat.azurewebsites.net', 'http://my-chat.azurewebsites.net', 'http://localhost.evil.example',
    'javascript:alert(1)', 'https://user:secret@a.example', 'https://a.example?code=1', 'https://a.example/#x',
  ])('rejects %j as apiBaseUrl without repeating the value', (apiBaseUrl) => {
    const problems = problemsOf({ ...good, apiBaseUrl })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^apiBaseUrl /)
    expect(problems[0]).not.toContain('secret')
  })

  it('reports all problems at once', () => {
    expect(problemsOf({ apiBaseUrl: 'nowhere', authProvider: '../x' })).toHaveLength(2)
    expect(problemsOf({})).toHaveLength(2)
  })

  it.each([null, [], 'text', 1])('must be an object, not %j', (raw) => {
    expect(problemsOf(raw)).toEqual(['config.json must hold one JSON object.'])
  })
})

describe('loading config.json', () => {
  it('fetches it relative to the page', async () => {
    const requested: unknown[] = []
    const loaded = await loadConfig((url) => {
      requested.push(url)
      return Promise.resolve(Response.json(good))
    })
    expect(loaded.kind).toBe('valid')
    expect(requested).toEqual(['./config.json'])
  })

  it.each([
    ['is missing', () => Promise.resolve(new Response('', { status: 404 })), /404/],
    ['is not JSON', () => Promise.resolve(new Response('{"apiBaseUrl":')), /not valid JSON/],
    ['cannot be fetched', () => Promise.reject(new TypeError('network')), /connection/],
  ])('reports that it %s', async (_, get, text) => {
    const loaded = await loadConfig(get)
    expect(loaded.kind === 'invalid' && loaded.problems[0]).toMatch(text)
  })
})
