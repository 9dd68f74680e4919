// What the page asks before something that cannot be undone.

export interface Question {
  readonly title: string
  readonly text: string
  /** The label of the button that does it, such as `Erase`. */
  readonly confirm: string
}

export const ERASE_QUESTION: Question = {
  title: 'Erase all your private messages?',
  text: 'Your copies are erased, in the conversations with all people and on all your devices. The other people keep theirs.',
  confirm: 'Erase',
}

export const REMOVE_QUESTION: Question = {
  title: 'Remove this message?',
  text: 'It disappears for everyone who can read it.',
  confirm: 'Remove',
}

/** `unsent`: the number of messages that are not sent yet. */
export function leaveQuestion(unsent: number, isUser: boolean): Question {
  const messages = unsent === 1 ? 'One message has' : `${unsent} messages have`
  return {
    title: isUser ? 'Sign out now?' : 'Leave now?',
    text: `${messages} not been sent yet. If you ${isUser ? 'sign out' : 'leave'} now, ${unsent === 1 ? 'it is' : 'they are'} lost.`,
    confirm: isUser ? 'Sign out' : 'Leave',
  }
}

/** `unsent`: the number of messages in the room that are not sent yet; 0 if only the text in the composer is not. */
export function leaveRoomQuestion(room: string, unsent: number): Question {
  const what = unsent === 0 ? 'Your text has' : unsent === 1 ? 'One message has' : `${unsent} messages have`
  return { title: `Leave #${room} now?`, text: `${what} not been sent yet. If you leave now, ${unsent > 1 ? 'they are' : 'it is'} lost.`, confirm: 'Leave' }
}
