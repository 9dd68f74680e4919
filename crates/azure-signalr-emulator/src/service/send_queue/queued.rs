//! [`Queued`]: what is added to a queue at once.

use std::sync::Arc;

use crate::protocol::Frame;

/// One frame, or several that were joined. Clones share the bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Queued {
    One(Frame),
    Joined(Arc<JoinedFrames>),
}

/// Frames for the same clients, in order. Their bytes are in one piece too, which costs less to queue and to write.
#[derive(Debug, PartialEq)]
pub(crate) struct JoinedFrames {
    frames: Vec<Frame>,
    websocket_bytes: Box<[u8]>,
}

impl From<Frame> for Queued {
    fn from(frame: Frame) -> Self {
        Self::One(frame)
    }
}

impl Queued {
    /// Joins frames; `None` if there are none.
    pub(crate) fn join(frames: Vec<Frame>) -> Option<Self> {
        match &frames[..] {
            [] => None,
            [frame] => Some(Self::One(frame.clone())),
            _ => {
                let bytes: Vec<_> = frames.iter().map(Frame::websocket_bytes).collect();
                Some(Self::Joined(Arc::new(JoinedFrames { websocket_bytes: bytes.concat().into(), frames })))
            }
        }
    }

    pub(super) fn frames(&self) -> &[Frame] {
        match self {
            Self::One(frame) => std::slice::from_ref(frame),
            Self::Joined(joined) => &joined.frames,
        }
    }

    /// All frames, as they are sent over a WebSocket.
    pub(super) fn websocket_bytes(&self) -> &[u8] {
        match self {
            Self::One(frame) => frame.websocket_bytes(),
            Self::Joined(joined) => &joined.websocket_bytes,
        }
    }

    /// The length of the payloads in bytes, or a little more.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(frame) => frame.len(),
            Self::Joined(joined) => joined.websocket_bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_frames_are_sent_as_if_they_were_sent_one_after_the_other() {
        let frames = ["one", "", "three"].map(Frame::text);
        let joined = Queued::join(frames.to_vec()).unwrap();
        assert_eq!(joined.frames(), frames);
        assert_eq!(joined.websocket_bytes(), b"\x81\x03one\x81\x00\x81\x05three");
        assert_eq!(
            (Queued::join(vec![]), Queued::join(vec![frames[0].clone()])),
            (None, Some(frames[0].clone().into()))
        );
    }

    #[test]
    fn a_queue_needs_no_more_memory_than_for_frames() {
        assert_eq!(size_of::<Queued>(), size_of::<Frame>());
    }
}
