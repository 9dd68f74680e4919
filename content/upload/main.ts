// The upload command: uploads the built page to the static website of a storage account. Nothing is sent before the arguments,
// the built page and its config.json are validated. Only this file reads arguments, environment and clock.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseOptions, USAGE, type Options } from './options'
import { enableStaticWebsite, publish } from './publish'
import { describe, readSite, type Site } from './site'
import { buildSiteConfig } from './siteConfig'
import { openAccount } from './storageAccount'
import { toUploadError, UploadError, type Step } from './uploadError'

const DIST = fileURLToPath(new URL('../dist', import.meta.url))

function log(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function upload(options: Options): Promise<void> {
  const site = await loadSite(options)
  if (options.dryRun) {
    for (const file of site.files) log(`would upload  ${describe(file)}`)
    return
  }
  const account = await openAccount(options, process.env['AZURE_STORAGE_CONNECTION_STRING'])
  const runStep = async (step: Step, run: () => Promise<void>) => {
    try {
      await run()
    } catch (error) {
      throw toUploadError(error, { ...account, step })
    }
  }
  if (options.website) await runStep('website', () => enableStaticWebsite(account.service, log))
  await runStep('files', () => publish(site, account.service, { now: new Date(), log }))
  log(`The address of the page: az storage account show --name ${account.name} --query primaryEndpoints.web --output tsv`)
}

/** The files of the build, with the config.json for this upload. */
async function loadSite(options: Options): Promise<Site> {
  const folder = options.dist ?? DIST
  const site = await readSite(folder)
  const built = await readFile(`${folder}/config.json`, 'utf8').catch(() => '{}')
  return site.with('config.json', buildSiteConfig(built, options))
}

async function main(): Promise<number> {
  const parsed = parseOptions(process.argv.slice(2))
  if (parsed.kind === 'help') {
    log(USAGE)
    return 0
  }
  try {
    if (parsed.kind === 'invalid') throw new UploadError('arguments', [...parsed.problems, 'See --help.'].join('\n'))
    await upload(parsed.options)
    return 0
  } catch (error) {
    const failure = error instanceof UploadError ? error : new UploadError('unexpected', error instanceof Error ? error.stack ?? error.name : 'unknown')
    process.stderr.write(`${failure.message}\n`)
    return failure.exitCode
  }
}

process.exitCode = await main()
