// The chat as Vue sees it: who said what, how the connection stands, and the few things a person can do.
// It opens the connection and the outbox, and closes both with the component that asked for it.
import { computed, onScopeDispose, reactive, readonly, ref } from 'vue'
import { connect } from './connection'
import type { Hub, Status } from './connection'
import { append, conversationFor, findSaid, markGap, markUnread, receive, removeSaid } from './conversations'
import type { Conversation } from './conversations'
import { keepTyped, keepUnsent, readKept } from './storage'
import { keyOf, lengthOf, MAX_TEXT, tidy } from './message'
import type { Audience, Draft, Message, Sender } from './message'
import { Outbox } from './outbox'
import type { PostResult } from './outbox'
import type { TabStore } from '../tabStorage'

export interface ChatOptions {
  readonly me: Sender
  /** A new connection to the hub, for each try. */
  readonly open: () => Hub
  readonly post: (draft: Draft) => Promise<PostResult>
  readonly stillSignedIn: () => Promise<boolean>
  /** The tab's own storage, for what is not sent yet. */
  readonly store: TabStore
}

/** Counted, because a live region that says the same again is not read again. */
function privateNews(unread: number, userId: string): string {
  return `${unread === 1 ? 'New private message' : `${unread} new private messages`} from ${userId}`
}

/** Joins the chat as `me` until the surrounding scope ends. */
export function useChat({ me, open, post, stillSignedIn, store }: ChatOptions) {
  const status = ref<Status>({ kind: 'connecting' })
  const conversations = reactive<Conversation[]>([])
  const everyone = conversationFor(conversations, { kind: 'everyone' })
  const currentKey = ref(everyone.key)
  const current = computed(() => conversations.find(({ key }) => key === currentKey.value) ?? everyone)
  const unread = computed(() => conversations.reduce((sum, conversation) => sum + conversation.unread, 0))
  /** What a screen reader is told about a conversation that is not open. */
  const news = ref('')
  /** Why the last words could not be taken, if so. */
  const refusal = ref('')
  const userId = me.kind === 'user' ? me.userId : undefined
  let lostAt: Date | undefined

  const ownKey = (id: string) => keyOf({ id, sender: me })

  const outbox = new Outbox({
    post,
    onDelivery(id, delivery) {
      const said = findSaid(conversations, ownKey(id))
      if (said !== undefined) said.delivery = delivery
    },
    onPublished: (id, message) => { settle(ownKey(id), message) },
    onUnauthenticated: endSession,
    onChange: (unsent) => { keepUnsent(store, me, unsent) },
  })

  restore()
  const connection = connect({ open, stillSignedIn, onMessage, onStatus })

  function onStatus(next: Status): void {
    if (status.value.kind === 'live') lostAt = new Date()
    status.value = next
    if (next.kind !== 'live') return
    if (lostAt !== undefined) markGap(conversations, lostAt, new Date())
    lostAt = undefined
    outbox.hurry()
  }

  function onMessage(message: Message): void {
    const known = findSaid(conversations, keyOf(message))
    if (known?.delivery !== undefined && known.delivery.kind !== 'sent') {
      // The hub says it is published, even if the answer to the call got lost.
      outbox.take(message.id)
      settle(known.key, message)
      return
    }
    const conversation = receive(conversations, message, userId)
    if (conversation === undefined) return
    const mine = message.sender.kind === 'user' && message.sender.userId === userId
    if (mine || (conversation.key === currentKey.value && !document.hidden)) return
    markUnread(conversation, keyOf(message))
    if (conversation.audience.kind === 'person') news.value = privateNews(conversation.unread, conversation.audience.userId)
  }

  /** One's own message, as it was published. */
  function settle(key: string, message: Message): void {
    const published = keyOf(message)
    // The platform may spell one's name otherwise than we do; then the echo stands under that name already.
    if (published !== key) removeSaid(conversations, published)
    const said = findSaid(conversations, key)
    if (said !== undefined) {
      said.key = published
      said.message = { ...message, audience: said.message.audience }
      said.delivery = { kind: 'sent' }
    }
    // Published as a guest's, though we believed to be signed in: the session has ended unnoticed.
    if (me.kind === 'user' && message.sender.kind === 'guest') endSession()
  }

  /** Whoever else learns that the session has ended says it here. */
  function endSession(): void {
    connection.close()
    onStatus({ kind: 'unauthenticated' })
  }

  function say(draft: Draft): boolean {
    const conversation = conversationFor(conversations, draft.audience)
    const key = ownKey(draft.id)
    const message = { ...draft, sender: me, sentAt: new Date() }
    append(conversation, { kind: 'said', key, message, delivery: { kind: 'sending' } })
    if (outbox.add(draft)) return true
    removeSaid(conversations, key)
    return false
  }

  /** Sends what is typed in the open conversation; what cannot be sent stays there, and `refusal` says why. */
  function send(): void {
    const conversation = current.value
    const text = tidy(conversation.typed)
    const over = lengthOf(text) - MAX_TEXT
    if (text === '') return
    if (over > 0) {
      refusal.value = `Too long by ${over}. Please shorten it or send it in parts.`
    } else if (say({ id: crypto.randomUUID(), audience: conversation.audience, text })) {
      conversation.firstUnread = undefined
      write('')
    } else {
      refusal.value = 'Too many messages are waiting to be sent. Please wait until some have gone.'
    }
  }

  function write(text: string): void {
    refusal.value = ''
    current.value.typed = text
    keepTyped(store, me, conversations.filter(({ typed }) => typed !== '').map(({ audience, typed }) => ({ audience, text: typed })))
  }

  /** Takes an unsent message back into the composer of its conversation. */
  function edit(id: string): void {
    const draft = outbox.take(id)
    if (draft === undefined) return
    removeSaid(conversations, ownKey(id))
    show(draft.audience)
    write([draft.text, current.value.typed].filter(text => text !== '').join('\n'))
  }

  function show(audience: Audience): void {
    current.value.firstUnread = undefined
    currentKey.value = conversationFor(conversations, audience).key
    refusal.value = ''
    see()
  }

  /** What is open and in sight is read. */
  function see(): void {
    if (!document.hidden) current.value.unread = 0
  }

  function hurry(): void {
    connection.hurry()
    outbox.hurry()
  }

  function restore(): void {
    const kept = readKept(store, me)
    for (const { audience, text } of kept.typed) conversationFor(conversations, audience).typed = text
    for (const draft of kept.unsent) say(draft)
  }

  const wake = () => {
    if (document.hidden) return
    see()
    hurry()
  }
  window.addEventListener('online', wake)
  document.addEventListener('visibilitychange', wake)
  onScopeDispose(() => {
    window.removeEventListener('online', wake)
    document.removeEventListener('visibilitychange', wake)
    connection.close()
    outbox.close()
  })

  return {
    status: readonly(status),
    conversations: readonly(conversations),
    current: readonly(current),
    unread,
    news: readonly(news),
    refusal: readonly(refusal),
    send,
    write,
    edit,
    show,
    hurry,
    endSession,
    again: (id: string) => { outbox.again(id) },
  }
}

