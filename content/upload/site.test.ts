// @vitest-environment node
import { describe, expect, it } from 'vitest'
import { cacheControl, contentType, Site } from './site'

describe('a file of the site', () => {
  it.each([
    ['index.html', 'text/html; charset=utf-8'],
    ['assets/index-DJYWRJds.css', 'text/css; charset=utf-8'],
    ['assets/index-CZx4QLTE.js', 'text/javascript; charset=utf-8'],
    ['config.json', 'application/json; charset=utf-8'],
    ['favicon.svg', 'image/svg+xml; charset=utf-8'],
    ['site.webmanifest', 'application/manifest+json; charset=utf-8'],
    ['picture.png', 'image/png'],
    ['font.woff2', 'font/woff2'],
    ['LICENSE', 'application/octet-stream'],
  ])('%s is sent as %s', (name, expected) => {
    expect(contentType(name)).toBe(expected)
  })

  it.each([
    ['assets/index-CZx4QLTE.js', 'public, max-age=31536000, immutable'],
    ['assets/index-C-_4QLT-.css', 'public, max-age=31536000, immutable'],
    ['assets/index-CZx4QLTE.js.map', 'public, max-age=31536000, immutable'],
    ['assets/logo.svg', 'public, max-age=3600'],
    ['favicon.svg', 'public, max-age=3600'],
    ['not-assets/index-CZx4QLTE.js', 'public, max-age=3600'],
    ['index.html', 'no-cache'],
    ['404.html', 'no-cache'],
    ['config.json', 'no-cache'],
  ])('%s is cached as %s', (name, expected) => {
    expect(cacheControl(name)).toBe(expected)
  })

  it('is uploaded in order: assets, other files, index.html', () => {
    const names = ['index.html', 'a.txt', 'assets/z-12345678.js', 'config.json', 'assets/a-12345678.css']
    const site = Site.of(names.map(name => [name, Buffer.from(name)]))
    expect(site.files.map(({ name }) => name)).toEqual(['assets/a-12345678.css', 'assets/z-12345678.js', 'a.txt', 'config.json', 'index.html'])
  })

  it('replaces a file of the same name', () => {
    const site = Site.of([['config.json', Buffer.from('old')]]).with('config.json', 'new')
    expect(site.files.map(({ body }) => body.toString())).toEqual(['new'])
  })
})
