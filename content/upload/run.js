// `npm run upload`: runs main.ts with the Vite that builds the page, since not every Node.js we support reads TypeScript.
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
await runnerImport(main, { configFile: false, root: fileURLToPath(new URL('..', import.meta.url)), logLevel: 'error' })
