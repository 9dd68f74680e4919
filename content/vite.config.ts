// Configuration of build, development server and unit tests.
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import type { Plugin } from 'vite'

/** Removes the Content-Security-Policy in development, because the development server injects inline styles. */
function removePolicyInDevelopment(): Plugin {
  return {
    name: 'remove-policy-in-development',
    apply: 'serve',
    transformIndexHtml: html => html.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, ''),
  }
}

export default defineConfig({
  // Relative, so that the page works at the root of a site and below a path.
  base: './',
  plugins: [vue({ features: { optionsAPI: false } }), removePolicyInDevelopment()],
  // The port of the page in the local stack, which is an allowed origin of the API.
  server: { port: 5500, strictPort: true },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // The Content-Security-Policy forbids data: URLs for scripts and styles.
    assetsInlineLimit: 0,
  },
  test: {
    // For tests that hang: on a busy machine the others take several times as long as on an idle one.
    testTimeout: 60_000,
    include: ['src/**/*.test.ts', 'upload/**/*.test.ts'],
    environment: 'happy-dom',
    restoreMocks: true,
    unstubGlobals: true,
  },
})
