// The composable behind the chat page: messages, connection status and the user's actions.
// It connects and sends until the surrounding effect scope ends.
import { computed, onScopeDispose, readonly, ref, shallowReadonly, shallowRef } from 'vue'
import { Batch } from './batch'
import { connect } from './connection'
import type { HubConnection, Status } from './connection'
import { Conversations, knownPeople } from './conversations'
import { countCodePoints, isVisible, MAX_TEXT_LENGTH, messageKey, sanitizeText } from './message'
import type { Audience, Draft, Message, Sender } from './message'
import { Outbox } from './outbox'
import type { Delivery, PostResult, Published } from './outbox'
import { loadSaved, saveTyped, saveUnsent } from './storage'
import type { TabStorage } from '../tabStorage'

export interface ChatOptions {
  readonly me: Sender
  readonly createConnection: () => HubConnection
  readonly post: (draft: Draft) => Promise<PostResult>
  readonly isSignedIn: () => Promise<boolean>
  readonly storage: TabStorage
}

/** The number makes each announcement differ: screen readers do not repeat an unchanged live region. */
function unreadAnnouncement(unread: number, userId: string): string {
  return `${unread === 1 ? 'New private message' : `${unread} new private messages`} from ${userId}`
}

/** Joins the chat as `me`. */
export function useChat({ me, createConnection, post, isSignedIn, storage }: ChatOptions) {
  const status = ref<Status>({ kind: 'connecting' })
  const store = new Conversations(me)
  const conversations = shallowRef(store.list)
  const current = shallowRef(store.current)
  const unread = computed(() => conversations.value.reduce((sum, conversation) => sum + conversation.unread, 0))
  /** The time until which messages wait because the user sends too fast, in milliseconds since the epoch. */
  const pausedUntil = ref<number>()
  /** Text for screen readers about a conversation that is not open. */
  const announcement = ref('')
  /** Why the typed text cannot be sent, or empty. */
  const composerError = ref('')
  let disconnectedAt: Date | undefined

  const ownKey = (id: string) => messageKey({ id, sender: me })

  const outbox = new Outbox({
    post,
    onDelivery(id, delivery) {
      store.setDelivery(ownKey(id), delivery)
      show()
    },
    onPublished: setPublished,
    onUnauthenticated: endSession,
    onPause: (until) => { pausedUntil.value = until },
    onChange: (unsent) => { saveUnsent(storage, me, unsent) },
  })
  const arrivals = new Batch(receive)

  restore()
  const connection = connect({ createConnection, isSignedIn, onMessage: (message) => { arrivals.add(message) }, onStatus })

  /** Shows the current state of `store`. */
  function show(): void {
    conversations.value = store.list
    current.value = store.current
  }

  function onStatus(next: Status): void {
    // Messages that arrived before the change are shown before its gap.
    arrivals.flush()
    if (status.value.kind === 'connected') disconnectedAt = new Date()
    status.value = next
    if (next.kind !== 'connected') return
    if (disconnectedAt !== undefined) store.addGap(disconnectedAt, new Date())
    disconnectedAt = undefined
    show()
    outbox.retryNow()
  }

  function receive(messages: readonly Message[]): void {
    const unread = store.receive(messages.filter(message => !takeUnsent(message)), !document.hidden)
    for (const { audience, unread: count } of unread) {
      if (audience.kind === 'person') announcement.value = unreadAnnouncement(count, audience.userId)
    }
    show()
  }

  /** Whether `message` is an own one that counted as unsent. It is published, even if the response to the call was lost. */
  function takeUnsent(message: Message): boolean {
    const delivery = store.findMessage(messageKey(message))?.delivery
    if (delivery === undefined || delivery.kind === 'sent') return false
    outbox.take(message.id)
    setPublished(message.id, { kind: 'published', message })
    return true
  }

  /** Replaces an own message by the published one. */
  function setPublished(id: string, { message, recipientOnline }: Published): void {
    const delivery: Delivery = { kind: 'sent', recipientOnline }
    store.setPublished(ownKey(id), message, delivery)
    show()
    // A user's message that was published as a guest's: the session has ended.
    if (me.kind === 'user' && message.sender.kind === 'guest') endSession()
  }

  /** Disconnects and requires a new sign-in. */
  function endSession(): void {
    connection.close()
    onStatus({ kind: 'unauthenticated' })
  }

  /** Shows and sends a message; returns false if the outbox is full. */
  function enqueue(draft: Draft): boolean {
    store.addOwn({ ...draft, sender: me, sentAt: new Date() })
    const isAdded = outbox.add(draft)
    if (!isAdded) store.remove(ownKey(draft.id))
    show()
    return isAdded
  }

  /** Sends the typed text of the open conversation, or sets `composerError`. */
  function send(): void {
    const { audience, typed } = current.value
    const text = sanitizeText(typed)
    const excess = countCodePoints(text) - MAX_TEXT_LENGTH
    if (text === '') return
    if (!isVisible(text)) {
      composerError.value = 'There is nothing visible in this message. Please write some text.'
    } else if (excess > 0) {
      composerError.value = `Too long by ${excess} ${excess === 1 ? 'character' : 'characters'}. Please shorten it or send it in parts.`
    } else if (enqueue({ id: crypto.randomUUID(), audience, text })) {
      store.markOld()
      write('')
    } else {
      composerError.value = 'Too many messages are waiting to be sent. Please wait until some are sent.'
    }
  }

  /** Sets the typed text of the open conversation. */
  function write(text: string): void {
    composerError.value = ''
    store.write(current.value.audience, text)
    show()
    saveTyped(storage, me, conversations.value.filter(({ typed }) => typed !== '').map(({ audience, typed }) => ({ audience, text: typed })))
  }

  /** Moves an unsent message back to the composer of its conversation. */
  function edit(id: string): void {
    const draft = outbox.take(id)
    if (draft === undefined) return
    store.remove(ownKey(id))
    openConversation(draft.audience)
    write([draft.text, current.value.typed].filter(text => text !== '').join('\n'))
  }

  function openConversation(audience: Audience): void {
    store.open(audience)
    composerError.value = ''
    markRead()
  }

  /** Marks the open conversation as read if the page is visible. */
  function markRead(): void {
    if (!document.hidden) store.markRead()
    show()
  }

  function retryNow(): void {
    connection.retryNow()
    outbox.retryNow()
  }

  function restore(): void {
    const saved = loadSaved(storage, me)
    for (const { audience, text } of saved.typed) store.write(audience, text)
    for (const draft of saved.unsent) enqueue(draft)
    show()
  }

  const onVisibleOrOnline = () => {
    if (document.hidden) return
    markRead()
    retryNow()
  }
  window.addEventListener('online', onVisibleOrOnline)
  document.addEventListener('visibilitychange', onVisibleOrOnline)
  onScopeDispose(() => {
    window.removeEventListener('online', onVisibleOrOnline)
    document.removeEventListener('visibilitychange', onVisibleOrOnline)
    connection.close()
    outbox.close()
    arrivals.close()
  })

  return {
    status: readonly(status),
    conversations: shallowReadonly(conversations),
    current: shallowReadonly(current),
    unread,
    pausedUntil: readonly(pausedUntil),
    announcement: readonly(announcement),
    composerError: readonly(composerError),
    send,
    write,
    edit,
    openConversation,
    retryNow,
    endSession,
    knownPeople: () => knownPeople(store.list, me),
    retryMessage: (id: string) => { outbox.retry(id) },
  }
}
