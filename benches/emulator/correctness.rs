//! Checks that a target delivers a message correctly before it is measured, and records the bytes that clients then expect.

use crate::common::Result;
use crate::common::cores::Cores;
use crate::connect::Socket;
use crate::message::NumberedMessage;
use crate::target::{Recipients, Target, send_request};

/// Starts `emulator`, sends one message with a text of `text_bytes` bytes to one client, checks it, and returns its bytes.
pub(crate) async fn record_message(emulator: &Target, cores: Cores, text_bytes: usize) -> Result<NumberedMessage> {
    let service = emulator.start(cores).await?;
    let port = service.process.port;
    let mut caller = Socket::open(port)?;
    let mut client = service.connect(&mut caller, "user")?;
    caller.exchange(&send_request(port, Recipients::Everyone, text_bytes)?, 202)?;
    NumberedMessage::from_record(client.socket.receive()?, text_bytes)
}
