// Runs main.ts through Vite, because not every supported Node.js version runs TypeScript.
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
await runnerImport(main, { configFile: false, root: fileURLToPath(new URL('..', import.meta.url)), logLevel: 'error' })
