// The composable behind the chat page: messages, connection status and the user's actions.
// It connects and sends until the surrounding effect scope ends.
import { computed, onScopeDispose, reactive, readonly, ref } from 'vue'
import { connect } from './connection'
import type { HubConnection, Status } from './connection'
import { addGap, append, conversationFor, findMessage, markUnread, receiveMessage, removeMessage } from './conversations'
import type { Conversation } from './conversations'
import { countCodePoints, MAX_TEXT_LENGTH, messageKey, sanitizeText } from './message'
import type { Audience, Draft, Message, Sender } from './message'
import { Outbox } from './outbox'
import type { PostResult } from './outbox'
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
  const conversations = reactive<Conversation[]>([])
  const everyone = conversationFor(conversations, { kind: 'everyone' })
  const currentKey = ref(everyone.key)
  const current = computed(() => conversations.find(({ key }) => key === currentKey.value) ?? everyone)
  const unread = computed(() => conversations.reduce((sum, conversation) => sum + conversation.unread, 0))
  /** Text for screen readers about a conversation that is not open. */
  const announcement = ref('')
  /** Why the typed text cannot be sent, or empty. */
  const composerError = ref('')
  const userId = me.kind === 'user' ? me.userId : undefined
  let disconnectedAt: Date | undefined

  const ownKey = (id: string) => messageKey({ id, sender: me })

  const outbox = new Outbox({
    post,
    onDelivery(id, delivery) {
      const entry = findMessage(conversations, ownKey(id))
      if (entry !== undefined) entry.delivery = delivery
    },
    onPublished: (id, message) => { markSent(ownKey(id), message) },
    onUnauthenticated: endSession,
    onChange: (unsent) => { saveUnsent(storage, me, unsent) },
  })

  restore()
  const connection = connect({ createConnection, isSignedIn, onMessage, onStatus })

  function onStatus(next: Status): void {
    if (status.value.kind === 'connected') disconnectedAt = new Date()
    status.value = next
    if (next.kind !== 'connected') return
    if (disconnectedAt !== undefined) addGap(conversations, disconnectedAt, new Date())
    disconnectedAt = undefined
    outbox.retryNow()
  }

  function onMessage(message: Message): void {
    const existing = findMessage(conversations, messageKey(message))
    if (existing?.delivery !== undefined && existing.delivery.kind !== 'sent') {
      // Published, even if the response to the call was lost.
      outbox.take(message.id)
      markSent(existing.key, message)
      return
    }
    const conversation = receiveMessage(conversations, message, userId)
    if (conversation === undefined) return
    const isMine = message.sender.kind === 'user' && message.sender.userId === userId
    if (isMine || (conversation.key === currentKey.value && !document.hidden)) return
    markUnread(conversation, messageKey(message))
    if (conversation.audience.kind === 'person') announcement.value = unreadAnnouncement(conversation.unread, conversation.audience.userId)
  }

  /** Replaces an own message by the published one. */
  function markSent(key: string, message: Message): void {
    const publishedKey = messageKey(message)
    // If the server spells the user id differently, the message may have arrived under that key already.
    if (publishedKey !== key) removeMessage(conversations, publishedKey)
    const entry = findMessage(conversations, key)
    if (entry !== undefined) {
      entry.key = publishedKey
      entry.message = { ...message, audience: entry.message.audience }
      entry.delivery = { kind: 'sent' }
    }
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
    const conversation = conversationFor(conversations, draft.audience)
    const key = ownKey(draft.id)
    const message = { ...draft, sender: me, sentAt: new Date() }
    append(conversation, { kind: 'message', key, message, delivery: { kind: 'sending' } })
    if (outbox.add(draft)) return true
    removeMessage(conversations, key)
    return false
  }

  /** Sends the typed text of the open conversation, or sets `composerError`. */
  function send(): void {
    const conversation = current.value
    const text = sanitizeText(conversation.typed)
    const excess = countCodePoints(text) - MAX_TEXT_LENGTH
    if (text === '') return
    if (excess > 0) {
      composerError.value = `Too long by ${excess} ${excess === 1 ? 'character' : 'characters'}. Please shorten it or send it in parts.`
    } else if (enqueue({ id: crypto.randomUUID(), audience: conversation.audience, text })) {
      conversation.firstUnread = undefined
      write('')
    } else {
      composerError.value = 'Too many messages are waiting to be sent. Please wait until some are sent.'
    }
  }

  /** Sets the typed text of the open conversation. */
  function write(text: string): void {
    composerError.value = ''
    current.value.typed = text
    saveTyped(storage, me, conversations.filter(({ typed }) => typed !== '').map(({ audience, typed }) => ({ audience, text: typed })))
  }

  /** Moves an unsent message back to the composer of its conversation. */
  function edit(id: string): void {
    const draft = outbox.take(id)
    if (draft === undefined) return
    removeMessage(conversations, ownKey(id))
    openConversation(draft.audience)
    write([draft.text, current.value.typed].filter(text => text !== '').join('\n'))
  }

  function openConversation(audience: Audience): void {
    current.value.firstUnread = undefined
    currentKey.value = conversationFor(conversations, audience).key
    composerError.value = ''
    markRead()
  }

  /** Marks the open conversation as read if the page is visible. */
  function markRead(): void {
    if (!document.hidden) current.value.unread = 0
  }

  function retryNow(): void {
    connection.retryNow()
    outbox.retryNow()
  }

  function restore(): void {
    const saved = loadSaved(storage, me)
    for (const { audience, text } of saved.typed) conversationFor(conversations, audience).typed = text
    for (const draft of saved.unsent) enqueue(draft)
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
  })

  return {
    status: readonly(status),
    conversations: readonly(conversations),
    current: readonly(current),
    unread,
    announcement: readonly(announcement),
    composerError: readonly(composerError),
    send,
    write,
    edit,
    openConversation,
    retryNow,
    endSession,
    retryMessage: (id: string) => { outbox.retry(id) },
  }
}
