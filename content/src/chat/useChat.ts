// The composable behind the chat page: it connects the threads, the outbox, the histories and the rooms with the connection, and offers the
// person's actions. It runs until the surrounding effect scope ends.
import { computed, onScopeDispose, readonly, ref, shallowReadonly, shallowRef, watch } from 'vue'
import type { Ref } from 'vue'
import type { Failure } from './api'
import { Batch } from './batch'
import type { ChatApi } from './chatApi'
import { connect } from './connection'
import type { Status } from './connection'
import { Histories } from './histories'
import type { HubConnection } from './hubConnection'
import { knownPeople } from './knownPeople'
import { Membership } from './membership'
import { countCodePoints, isVisible, MAX_TEXT_LENGTH, sanitizeText } from './message'
import type { Audience, Draft, Message, Sender } from './message'
import { Outbox } from './outbox'
import type { Delivery, Published } from './outbox'
import { watchPage } from './pageEvents'
import type { Removal } from './removal'
import { EVERYONE_ROOM } from './roomsApi'
import { SavedChat } from './savedChat'
import { scheduleChecks } from './scheduleChecks'
import type { HoleEntry, MessageEntry } from './thread'
import { Threads } from './threads'
import { loadVisit } from './visit'
import type { Features } from '../features'
import type { TabStorage } from '../tabStorage'

export interface ChatOptions {
  readonly me: Sender
  readonly api: ChatApi
  readonly createConnection: () => HubConnection
  readonly isSignedIn: () => Promise<boolean>
  /** `undefined` until they are known. */
  readonly features: Readonly<Ref<Features | undefined>>
  /** Of the tab: unsent text, and messages that are in no history. */
  readonly storage: TabStorage
  /** Of the browser: how far the threads were read, and which rooms were entered. */
  readonly visits: TabStorage
  /** Whether something else is shown instead of the messages, so that none is read. */
  readonly isCovered?: Readonly<Ref<boolean>>
  /** Called first when the page or the network is back. */
  readonly onResume: () => void
}

/** Calls of one kind may succeed while others fail, so that the API seems to work again and again. */
const RETRY_INTERVAL_MS = 5000

/** The number makes each announcement differ: screen readers do not repeat an unchanged live region. */
function unreadAnnouncement(unread: number, userId: string): string {
  return `${unread === 1 ? 'New private message' : `${unread} new private messages`} from ${userId}`
}

/** Why a text cannot be sent, or empty. */
function problemOf(text: string): string {
  if (!isVisible(text)) return 'There is nothing visible in this message. Please write some text.'
  const excess = countCodePoints(text) - MAX_TEXT_LENGTH
  return excess <= 0 ? '' : `Too long by ${excess} ${excess === 1 ? 'character' : 'characters'}. Please shorten it or send it in parts.`
}

/** Joins the chat as `me`. */
export function useChat({ me, api, createConnection, isSignedIn, features, storage, visits, isCovered, onResume }: ChatOptions) {
  const visit = loadVisit(visits, me)
  const store = new Threads(me, visit.marks)
  const saved = new SavedChat({ me, threads: store, visit, storage, visits })
  const threads = shallowRef(store.list)
  const current = shallowRef(store.current)
  const unread = computed(() => threads.value.reduce((sum, thread) => sum + thread.unread, 0))
  const receiving = ref<Status>({ kind: 'connecting', since: Date.now(), lastHeard: undefined })
  /** The time until which messages wait because the user sends too fast, in milliseconds since the epoch. */
  const pausedUntil = ref<number>()
  /** Why messages cannot be sent just now, or `undefined`. Other calls may work all the same. */
  const sendingProblem = ref<string>()
  /** Text for screen readers about a thread that is not open. */
  const announcement = ref('')
  /** Why the typed text cannot be sent, or empty. */
  const composerError = ref('')
  /** Why the last action of the person did not work, or empty. */
  const actionError = ref('')
  const unsent = shallowRef<readonly Draft[]>([])
  let retriedAt = 0
  /** Whether the person has left: calls that are still under way change nothing any more. */
  let isClosed = false

  const histories = new Histories({
    threads: store,
    fetchPage: api.fetchPage,
    onChange: show,
    onMissed: (room) => { membership.doubt(room) },
  })
  const membership = new Membership({
    enter: api.enterRoom,
    leave: api.leaveRoom,
    onEntered: (room) => { if (room !== EVERYONE_ROOM) void histories.check({ kind: 'room', room }) },
    onRefused: refuseRoom,
  })
  const outbox = new Outbox({
    post: api.post,
    // A message that is in the history is no longer unsent, and `show` takes it from the outbox.
    find: ({ audience }) => histories.check(audience),
    onDelivery(id, delivery) {
      store.setDelivery(id, delivery)
      show()
    },
    onPublished: setPublished,
    onUnauthenticated: endSession,
    onPause: (until) => { pausedUntil.value = until },
    onFailing: (reason) => { sendingProblem.value = reason },
    onChange: (drafts) => {
      unsent.value = drafts
      saved.saveUnsent(drafts)
    },
  })
  const checks = scheduleChecks(() => histories.checkAll())
  const arrivals = new Batch(receive)
  const connection = connect({ createConnection, isSignedIn, onMessage: (message) => { arrivals.add(message) }, onRemoval: remove, onErased: dropPrivate, onStatus })
  for (const draft of saved.restore()) enqueue(draft, true)
  show()
  watch(features, start, { immediate: true })
  if (isCovered !== undefined) watch(isCovered, show)

  /** Begins to use what this deployment offers. */
  function start(known: Features | undefined): void {
    if (known === undefined) return
    store.setFeatures(known)
    saved.start()
    if (known.rooms !== undefined) {
      void membership.enter(EVERYONE_ROOM)
      for (const room of saved.rooms) enterRoom(room)
      saved.restoreRooms()
    }
    void histories.checkAll()
    show()
  }

  function isVisible(): boolean {
    return !document.hidden && isCovered?.value !== true
  }

  /** Shows the current state of `store`. */
  function show(): void {
    if (isClosed) return
    for (const { id } of unsent.value) if (store.findUnsent(id) === undefined) outbox.take(id)
    if (isVisible()) store.markRead()
    threads.value = store.list
    current.value = store.current
    saved.saveSoon()
  }

  function onStatus(next: Status): void {
    // Messages that arrived before the change are shown before its gap.
    arrivals.flush()
    receiving.value = next
    if (next.kind !== 'connected') {
      void membership.setConnection(undefined)
      // The session has ended: the person has to load the page again.
      if (next.kind === 'unauthenticated') checks.close()
      return
    }
    if (next.lastHeard !== undefined) store.addGap(new Date(next.lastHeard), new Date())
    show()
    outbox.retryNow()
    // The histories of rooms are read when they are entered.
    void membership.setConnection(next.connectionId)
    void histories.checkWithoutRooms()
    checks.onConnected()
  }

  function receive(messages: readonly Message[]): void {
    const grown = store.receive(messages, isVisible())
    for (const { audience } of messages) if (audience.kind === 'room') membership.trust(audience.room)
    for (const { audience, unread: count } of grown) {
      if (audience.kind === 'person') announcement.value = unreadAnnouncement(count, audience.userId)
    }
    histories.watchHoles()
    show()
  }

  function remove({ audience, at }: Removal): void {
    arrivals.flush()
    store.remove(audience, at)
    show()
  }

  /** Replaces an own message by the published one. */
  function setPublished(_: string, { message, recipientOnline, isLive }: Published): void {
    const delivery: Delivery = { kind: 'sent', recipientOnline }
    store.setPublished(message, delivery)
    show()
    // A user's message that was published as a guest's: the session has ended.
    if (me.kind === 'user' && message.sender.kind === 'guest') endSession()
    else if (isLive !== false && hasEcho(message)) connection.expectEcho(message.id)
  }

  /** Whether an own message comes back through the connection. */
  function hasEcho({ audience, place }: Message): boolean {
    if (audience.kind === 'room' && !membership.isIn(audience.room)) return false
    return place !== undefined || !store.hasHistory(audience)
  }

  /** Disconnects and requires a new sign-in. */
  function endSession(): void {
    connection.endSession()
  }

  /** Shows and sends a message; returns false if the outbox is full. */
  function enqueue(draft: Draft, mayBePublished = false): boolean {
    store.addUnsent({ ...draft, sender: me, sentAt: new Date() })
    const isAdded = outbox.add(draft, mayBePublished)
    if (!isAdded) store.removeUnsent(draft.id)
    show()
    return isAdded
  }

  /** Sends the typed text of the open thread, or sets `composerError`. */
  function send(): void {
    const { audience, typed } = current.value
    const text = sanitizeText(typed)
    if (text === '') return
    composerError.value = problemOf(text)
    if (composerError.value !== '') return
    if (enqueue({ id: crypto.randomUUID(), audience, text })) {
      store.markOld()
      write('')
    } else {
      composerError.value = 'Too many messages are waiting to be sent. Please wait until some are sent.'
    }
  }

  /** Sets the typed text of the open thread. */
  function write(text: string): void {
    composerError.value = ''
    store.write(current.value.audience, text)
    show()
    saved.saveTyped()
  }

  /** Moves an unsent message back to the composer of its thread. */
  function edit(id: string): void {
    const draft = outbox.take(id)
    if (draft === undefined) return
    store.removeUnsent(id)
    open(draft.audience)
    write([draft.text, current.value.typed].filter(text => text !== '').join('\n'))
  }

  /** Opens a thread. A room is entered with it. */
  function open(audience: Audience): void {
    store.open(audience)
    composerError.value = ''
    actionError.value = ''
    if (audience.kind === 'room') {
      enterRoom(audience.room)
      saved.rememberRoom(audience.room)
    }
    show()
  }

  function enterRoom(room: string): void {
    store.add({ kind: 'room', room })
    void membership.enter(room)
  }

  /** Leaves a room, and drops the unsent text in it. */
  function leaveRoom(room: string): void {
    membership.leave(room)
    dropRoom(room)
    saved.saveTyped()
    show()
  }

  function dropRoom(room: string): void {
    saved.forgetRoom(room)
    histories.leave(room)
    store.leave(room)
  }

  /** A room that cannot be entered is not shown any more, unless there is text of the person in it. */
  function refuseRoom(room: string, failure: Failure): void {
    if (room === EVERYONE_ROOM) return
    if (store.hasUnsentText({ kind: 'room', room })) saved.forgetRoom(room)
    else dropRoom(room)
    actionError.value = failure.kind === 'rejected' && failure.code === 'unknown_room' ? `There is no room “${room}”.` : `The room “${room}” cannot be entered.`
    show()
  }

  /** Removes an own message for everyone who sees it. */
  async function removeMessage({ message: { place, audience } }: MessageEntry): Promise<void> {
    if (place === undefined || audience.kind === 'person') return
    actionError.value = ''
    const result = await api.removeMessage(place.at, audience.kind === 'room' ? audience.room : undefined)
    if (result.kind === 'done') remove({ audience, at: place.at })
    else fail('The message was not removed', result.failure)
  }

  /** Erases the person's copies of all private messages. */
  async function erasePrivate(): Promise<void> {
    actionError.value = ''
    const result = await api.erasePrivate()
    if (result.kind === 'failed') {
      fail('Your private messages were not erased', result.failure)
      return
    }
    dropPrivate()
  }

  function dropPrivate(): void {
    if (isClosed) return
    arrivals.flush()
    store.erasePrivate()
    show()
    void histories.checkAll()
  }

  function fail(what: string, failure: Failure): void {
    if (isClosed) return
    if (failure.kind === 'unauthenticated') endSession()
    else actionError.value = `${what}: ${failure.reason}`
  }

  function retryNow(): void {
    connection.retryNow()
    outbox.retryNow()
  }

  /** To be called when the API works again after failures: tries now what waits. */
  function retryAfterFailures(): void {
    if (Date.now() - retriedAt < RETRY_INTERVAL_MS) return
    retriedAt = Date.now()
    retryNow()
  }

  const stopWatching = watchPage({
    onOffline: () => { connection.setOffline() },
    onResume: (from) => {
      onResume()
      connection.resume(from)
      outbox.retryNow()
      show()
    },
  })
  const save = () => { saved.save() }
  const onHide = () => { if (document.hidden) save() }
  window.addEventListener('pagehide', save)
  document.addEventListener('visibilitychange', onHide)
  onScopeDispose(() => {
    window.removeEventListener('pagehide', save)
    document.removeEventListener('visibilitychange', onHide)
    stopWatching()
    checks.close()
    isClosed = true
    saved.close()
    connection.close()
    outbox.close()
    arrivals.close()
    histories.close()
    membership.close()
  })

  return {
    receiving: readonly(receiving),
    threads: shallowReadonly(threads),
    current: shallowReadonly(current),
    unread,
    unsent: shallowReadonly(unsent),
    pausedUntil: readonly(pausedUntil),
    sendingProblem: readonly(sendingProblem),
    announcement: readonly(announcement),
    composerError: readonly(composerError),
    actionError: readonly(actionError),
    hasHistory: (audience: Audience) => store.hasHistory(audience),
    send,
    write,
    edit,
    open,
    leaveRoom,
    removeMessage,
    erasePrivate,
    retryNow,
    retryAfterFailures,
    endSession,
    loadOlder: () => void histories.loadOlder(current.value.audience),
    fillHole: ({ from }: HoleEntry) => void histories.fillHole(current.value.audience, from),
    knownPeople: () => knownPeople(store.list, me),
    retryMessage: (id: string) => { outbox.retry(id) },
  }
}
