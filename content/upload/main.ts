// Uploads the built page to the static website of a storage account: the only file here that reads the arguments, the
// environment and the clock. Nothing is sent before the arguments, the built page and its config.json have been found good.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { openAccount } from './storageAccount'
import { siteConfig } from './siteConfig'
import { explain, Failure, type Step } from './uploadError'
import { readOptions, USAGE, type Options } from './options'
import { enableWebsite, publish } from './publish'
import { describe, readSite, type Site } from './site'

const DIST = fileURLToPath(new URL('../dist', import.meta.url))

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function upload(options: Options): Promise<void> {
  const site = await builtSite(options)
  if (options.dryRun) {
    for (const file of site.files) say(`would upload  ${describe(file)}`)
    return
  }
  const account = await openAccount(options, process.env['AZURE_STORAGE_CONNECTION_STRING'])
  const during = async (step: Step, run: () => Promise<void>) => {
    try {
      await run()
    } catch (error) {
      throw explain(error, { ...account, step })
    }
  }
  if (options.website) await during('website', () => enableWebsite(account.service, say))
  await during('files', () => publish(site, account.service, { now: new Date(), say }))
  say(`The address of the page: az storage account show --name ${account.name} --query primaryEndpoints.web --output tsv`)
}

/** The files of the build, with the config.json that this upload is to have. */
async function builtSite(options: Options): Promise<Site> {
  const folder = options.dist ?? DIST
  const site = await readSite(folder)
  const built = await readFile(`${folder}/config.json`, 'utf8').catch(() => '{}')
  return site.with('config.json', siteConfig(built, options))
}

async function main(): Promise<number> {
  const asked = readOptions(process.argv.slice(2))
  if (asked.kind === 'help') {
    say(USAGE)
    return 0
  }
  try {
    if (asked.kind === 'bad') throw new Failure('arguments', [...asked.problems, 'See --help.'].join('\n'))
    await upload(asked.options)
    return 0
  } catch (error) {
    const failure = error instanceof Failure ? error : new Failure('unexpected', error instanceof Error ? error.stack ?? error.name : 'unknown')
    process.stderr.write(`${failure.message}\n`)
    return failure.exitCode
  }
}

process.exitCode = await main()
