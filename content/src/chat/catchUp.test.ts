// The threads and their histories together: messages arrive, are missed, fail and are erased, in any order.
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Histories } from './histories'
import type { HistorySource, PageCursor, PageResult } from './historyApi'
import type { Audience, Message, Sender } from './message'
import { threadKey, Threads } from './threads'
import type { ReadMarks } from './threads'

const ANN: Sender = { kind: 'user', userId: 'ann' }
const ROOMS = ['games', 'music'] as const
const PEOPLE = ['ben', 'cy'] as const
const AUDIENCES: readonly Audience[] = [
  { kind: 'everyone' },
  ...ROOMS.map(room => ({ kind: 'room', room }) as const),
  ...PEOPLE.map(userId => ({ kind: 'person', userId }) as const),
]
const FEATURES = { history: true, privateHistory: true }
const BUSY: PageResult = { kind: 'failed', failure: { kind: 'transient', reason: 'busy', retryAfterMs: undefined } }
const position = (line: number) => `00000017.${String(line).padStart(10, '0')}`
const lineOf = (text: string) => Number(text.slice(9))
const logOf = (audience: Audience) => (audience.kind === 'person' ? 'private' : threadKey(audience))

/** The history on the server: the lines of each log, of which those before `first` were erased. */
class Server {
  private readonly logs = new Map<string, { first: number, readonly lines: Message[] }>()
  failures = 0
  /** The longest time that an answer takes. */
  slowness = 0
  calls = 0
  private said = 0

  log(name: string) {
    const log = this.logs.get(name) ?? { first: 0, lines: [] }
    this.logs.set(name, log)
    return log
  }

  /** Says something new to `audience`, or again what was said last there. */
  say(audience: Audience, isMine: boolean, isAgain: boolean): Message {
    const { lines } = this.log(logOf(audience))
    const last = lines.at(-1)
    this.said += 1
    const sender: Sender = isMine ? ANN : { kind: 'user', userId: audience.kind === 'person' ? audience.userId : 'ben' }
    const to: Audience = audience.kind === 'person' && !isMine ? { kind: 'person', userId: 'ann' } : audience
    const said = isAgain && last !== undefined ? last : { id: `m${this.said}`, sender, audience: to, text: `${this.said}`, sentAt: new Date(this.said) }
    const message = { ...said, place: { at: position(lines.length), next: position(lines.length + 1) } }
    lines.push(message)
    return message
  }

  erase(): void {
    const log = this.log('private')
    log.first = log.lines.length
  }

  async fetchPage(source: HistorySource, cursor: PageCursor, limit: number): Promise<PageResult> {
    this.calls += 1
    const hasFailed = this.failures > 0
    if (hasFailed) this.failures -= 1
    const result = hasFailed ? BUSY : this.read(source, cursor, limit)
    if (this.slowness > 0) await new Promise((resolve) => { setTimeout(resolve, this.slowness) })
    return result
  }

  private read(source: HistorySource, cursor: PageCursor, limit: number): PageResult {
    const { lines, first } = this.log(source.kind === 'private' ? 'private' : threadKey(source))
    const asked = 'after' in cursor ? cursor.after : cursor.before
    const line = asked === undefined ? lines.length : lineOf(asked)
    const isLost = line < first
    if (isLost && !('after' in cursor)) return { kind: 'page', page: { messages: [], before: null, after: position(line), hasMore: false, isLost } }
    const from = 'after' in cursor ? Math.max(line, first) : Math.max(first, line - limit)
    const until = 'after' in cursor ? Math.min(lines.length, from + limit) : line
    const hasMore = 'after' in cursor ? until < lines.length : from > first
    const whose = source.kind === 'private' ? source.with : undefined
    const messages = lines.slice(from, until).filter(message => whose === undefined || partnerOf(message) === whose)
    return { kind: 'page', page: { messages, before: hasMore || 'after' in cursor ? position(from) : null, after: position(until), hasMore, isLost } }
  }

  /** What a thread shows in the end: each message at its first place. */
  messagesOf(audience: Audience): readonly Message[] {
    const { lines, first } = this.log(logOf(audience))
    const kept = lines.slice(first).filter(message => audience.kind !== 'person' || partnerOf(message) === audience.userId)
    return kept.filter(({ id }, index) => kept.findIndex(other => other.id === id) === index)
  }
}

function partnerOf({ sender, audience }: Message): string {
  const sentBy = sender.kind === 'user' ? sender.userId : ''
  return sentBy === 'ann' && audience.kind === 'person' ? audience.userId : sentBy
}

/** A page of Ann, which can be loaded again. */
class Page {
  threads = new Threads(ANN)
  histories: Histories
  isHidden = false
  /** Messages on their way. */
  private readonly coming: Message[] = []

  constructor(private readonly server: Server) {
    this.histories = this.read()
  }

  private read(): Histories {
    const { threads, server } = this
    threads.setFeatures(FEATURES)
    for (const room of ROOMS) threads.add({ kind: 'room', room })
    return new Histories({ threads, fetchPage: (source, cursor, limit) => server.fetchPage(source, cursor, limit), onChange: () => { this.show() }, onMissed: () => undefined })
  }

  send(message: Message): void {
    this.coming.push(message)
  }

  /** Messages arrive, not always in the order in which they were said. */
  arrive(isReversed: boolean): void {
    const messages = this.coming.splice(0)
    this.threads.receive(isReversed ? messages.reverse() : messages, !this.isHidden)
    this.histories.watchHoles()
    this.show()
  }

  show(): void {
    if (!this.isHidden) this.threads.markRead()
  }

  reload(): void {
    this.histories.close()
    this.coming.splice(0)
    const saved: unknown = JSON.parse(JSON.stringify(this.threads.readMarks))
    this.threads = new Threads(ANN, toMarks(saved))
    this.histories = this.read()
    void this.histories.checkAll()
  }

  erase(): void {
    this.arrive(false)
    this.threads.erasePrivate()
    this.show()
    void this.histories.checkAll()
  }

  /** Reads all that there is. */
  async readAll(): Promise<void> {
    for (const room of ROOMS) this.threads.add({ kind: 'room', room })
    void this.histories.checkAll()
    await vi.advanceTimersByTimeAsync(180_000)
    for (const { audience } of this.threads.list) {
      const thread = () => this.threads.list.find(({ key }) => key === threadKey(audience))
      for (let reads = 0; reads < 200 && thread()?.older.kind === 'more'; reads += 1) await this.settle(this.histories.loadOlder(audience))
      for (let reads = 0; reads < 200; reads += 1) {
        const hole = thread()?.entries.find(entry => entry.kind === 'hole')
        if (hole?.kind !== 'hole') break
        await this.settle(this.histories.fillHole(audience, hole.from))
      }
    }
  }

  private async settle(work: Promise<void>): Promise<void> {
    await vi.advanceTimersByTimeAsync(1000)
    await work
  }
}

function toMarks(raw: unknown): ReadMarks {
  const entries = Object.entries(typeof raw === 'object' && raw !== null ? raw : {})
  return Object.fromEntries(entries.map(([key, mark]: [string, unknown]) => [key, typeof mark === 'string' ? mark : '']))
}

type Step =
  | { kind: 'say', to: Audience, isMine: boolean, isHeard: boolean, isAgain: boolean, times: number }
  | { kind: 'arrive', isReversed: boolean }
  | { kind: 'wait', ms: number }
  | { kind: 'open' | 'older' | 'hole', to: Audience }
  | { kind: 'leave' | 'enter', room: string }
  | { kind: 'check' | 'hide' | 'fail' | 'reload' | 'erase' | 'slow' | 'features' }

const audience = fc.constantFrom(...AUDIENCES)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant<'say'>('say'), to: audience, isMine: fc.boolean(), isHeard: fc.boolean(),
      isAgain: fc.nat(9).map(one => one === 0), times: fc.constantFrom(1, 1, 1, 2, 3, 160),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant<'arrive'>('arrive'), isReversed: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant<'wait'>('wait'), ms: fc.constantFrom(10, 1000, 6000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom<('open' | 'older' | 'hole')[]>('open', 'older', 'hole'), to: audience }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom<('check' | 'hide' | 'fail')[]>('check', 'hide', 'fail') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom<('reload' | 'erase' | 'slow' | 'features')[]>('reload', 'erase', 'slow', 'features') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom<('leave' | 'enter')[]>('leave', 'enter'), room: fc.constantFrom(...ROOMS) }) },
)

async function take(given: Step, page: Page, server: Server): Promise<void> {
  switch (given.kind) {
    case 'say':
      for (let times = 0; times < given.times; times += 1) {
        const message = server.say(given.to, given.isMine, given.isAgain)
        if (given.isHeard) page.send(message)
      }
      return
    case 'arrive':
      page.arrive(given.isReversed)
      return
    case 'wait':
      await vi.advanceTimersByTimeAsync(given.ms)
      return
    case 'open':
      page.threads.open(given.to)
      page.show()
      return
    case 'older':
      void page.histories.loadOlder(given.to)
      return
    case 'hole': {
      const hole = page.threads.list.find(({ key }) => key === threadKey(given.to))?.entries.find(entry => entry.kind === 'hole')
      if (hole?.kind === 'hole') void page.histories.fillHole(given.to, hole.from)
      return
    }
    case 'leave':
      page.histories.leave(given.room)
      page.threads.leave(given.room)
      return
    case 'enter':
      page.threads.add({ kind: 'room', room: given.room })
      void page.histories.check({ kind: 'room', room: given.room })
      return
    case 'features':
      page.threads.setFeatures(FEATURES)
      return
    case 'check':
      void page.histories.checkAll()
      return
    case 'hide':
      page.isHidden = !page.isHidden
      page.show()
      return
    case 'fail':
      server.failures += 3
      return
    case 'reload':
      page.reload()
      return
    case 'erase':
      server.erase()
      page.erase()
      return
    case 'slow':
      server.slowness = server.slowness === 0 ? 500 : 0
  }
}

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => { vi.useRealTimers() })

it('every thread shows its history, unread is what others have said behind the mark, and no mark goes back', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
    const server = new Server()
    const page = new Page(server)
    let marks: ReadMarks = {}
    const checkMarks = () => {
      for (const [key, mark] of Object.entries(page.threads.readMarks)) expect((mark ?? '') >= (marks[key] ?? ''), `${key}: ${mark} after ${marks[key]}`).toBe(true)
      marks = { ...marks, ...page.threads.readMarks }
    }
    for (const one of steps) {
      await take(one, page, server)
      checkMarks()
    }
    server.failures = 0
    server.slowness = 0
    await page.readAll()
    checkMarks()
    for (const thread of page.threads.list) {
      const expected = server.messagesOf(thread.audience)
      const shown = thread.entries.map(entry => (entry.kind === 'message' ? entry.message.text : entry.kind))
      expect(shown, thread.key).toEqual(expected.map(({ text }) => text))
      const mark = page.threads.readMarks[thread.key]
      const unread = expected.filter(message => mark !== undefined && message.sender !== ANN && message.place !== undefined && message.place.at >= mark)
      expect(thread.unread, thread.key).toBe(unread.length)
    }
    const { calls } = server
    await vi.advanceTimersByTimeAsync(600_000)
    expect(server.calls).toBe(calls)
    page.histories.close()
  }), { numRuns: 300, includeErrorInReport: true })
}, 120_000)
