// How the page is built, served while one works on it, and tested.
// `base` is relative, so that the built folder works at the root of a site and below a path alike.
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import type { Plugin } from 'vite'

/** The development server injects styles as inline elements, which the page's own policy forbids; the build keeps the policy. */
function withoutPolicyInDevelopment(): Plugin {
  return {
    name: 'without-policy-in-development',
    apply: 'serve',
    transformIndexHtml: html => html.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, ''),
  }
}

export default defineConfig({
  base: './',
  plugins: [vue({ features: { optionsAPI: false } }), withoutPolicyInDevelopment()],
  // The port on which the local stack serves the built page, so that the API's allowed origins fit here as well.
  server: { port: 5500, strictPort: true },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // Nothing is inlined: an asset that became a data: URL would need a wider policy.
    assetsInlineLimit: 0,
  },
  test: {
    include: ['src/**/*.test.ts', 'upload/**/*.test.ts'],
    environment: 'happy-dom',
    restoreMocks: true,
    unstubGlobals: true,
  },
})
