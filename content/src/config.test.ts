import { describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from './config'

const good = { apiBaseUrl: 'https://my-chat.azurewebsites.net', authProvider: 'aad' }

function problemsOf(raw: unknown): string[] {
  const parsed = parseConfig(raw)
  return parsed.kind === 'bad' ? parsed.problems : []
}

describe('config.json', () => {
  it('is taken as it stands when it is right', () => {
    expect(parseConfig(good)).toEqual({ kind: 'ready', config: good })
  })

  it.each([
    ['https://a.example/', 'https://a.example'],
    ['https://a.example/chat//', 'https://a.example/chat'],
    ['http://localhost:7071', 'http://localhost:7071'],
    ['http://127.0.0.1:7071/', 'http://127.0.0.1:7071'],
  ])('reads %s as %s', (apiBaseUrl, expected) => {
    expect(parseConfig({ ...good, apiBaseUrl })).toEqual({ kind: 'ready', config: { ...good, apiBaseUrl: expected } })
  })

  it.each([
    undefined, '', 42, '/api', 'my-chat.azurewebsites.net', 'http://my-chat.azurewebsites.net', 'http://localhost.evil.example',
    'javascript:alert(1)', 'https://user:secret@a.example', 'https://a.example?code=1', 'https://a.example/#x',
  ])('refuses %j as apiBaseUrl, by name and without repeating it', (apiBaseUrl) => {
    const problems = problemsOf({ ...good, apiBaseUrl })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^apiBaseUrl /)
    expect(problems[0]).not.toContain('secret')
  })

  it('tells every problem at once', () => {
    expect(problemsOf({ apiBaseUrl: 'nowhere', authProvider: '../x' })).toHaveLength(2)
    expect(problemsOf({})).toHaveLength(2)
  })

  it.each([null, [], 'text', 1])('must be an object, not %j', (raw) => {
    expect(problemsOf(raw)).toEqual(['config.json must hold one JSON object.'])
  })
})

describe('loading config.json', () => {
  it('finds it beside the page', async () => {
    const asked: unknown[] = []
    const loaded = await loadConfig((url) => {
      asked.push(url)
      return Promise.resolve(Response.json(good))
    })
    expect(loaded.kind).toBe('ready')
    expect(asked).toEqual(['./config.json'])
  })

  it.each([
    ['is missing', () => Promise.resolve(new Response('', { status: 404 })), /404/],
    ['is not JSON', () => Promise.resolve(new Response('{"apiBaseUrl":')), /not valid JSON/],
    ['cannot be fetched', () => Promise.reject(new TypeError('network')), /connection/],
  ])('says so when it %s', async (_, get, words) => {
    const loaded = await loadConfig(get)
    expect(loaded.kind === 'bad' && loaded.problems[0]).toMatch(words)
  })
})
