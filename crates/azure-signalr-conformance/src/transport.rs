//! The three transports of SignalR clients: WebSockets, Server-Sent Events and long polling.

use std::collections::VecDeque;

use reqwest::Method;
use reqwest::header::ACCEPT;

use crate::case_result::{CaseResult, Failure, expect_eq};
use crate::credentials::Token;
use crate::service::{Response, Service, with_timeout};
use crate::websocket::{self, WebSocket};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportType {
    WebSockets,
    ServerSentEvents,
    LongPolling,
}

/// An open transport of a client.
pub(crate) enum Transport {
    WebSocket(Box<WebSocket>),
    ServerSentEvents { stream: Box<reqwest::Response>, parser: EventStreamParser, received: VecDeque<String> },
    LongPolling,
}

impl Transport {
    /// Opens a transport at `/client/` with the query parameters.
    pub(crate) async fn open(
        service: &Service,
        transport: TransportType,
        query: &[(&str, &str)],
        token: &Token,
    ) -> CaseResult<Self> {
        match transport {
            TransportType::WebSockets => {
                let socket = websocket::open(service, query, Some(token), None).await?.into_socket()?;
                Ok(Self::WebSocket(Box::new(socket)))
            }
            TransportType::ServerSentEvents => {
                let query = [query, &[("access_token", token.0.as_str())]].concat();
                let url = service.client_url(&[], &query);
                let call = service.call_url(Method::GET, url).without_token().header(ACCEPT, "text/event-stream");
                let stream = with_timeout(service.timeout, "an event stream", call.stream()).await?;
                if stream.status() != 200 {
                    Response::read(stream).await?.expect_status(200)?;
                    return Err(Failure::new("an event stream", "none"));
                }
                let (stream, parser, received) = (Box::new(stream), EventStreamParser::default(), VecDeque::new());
                Ok(Self::ServerSentEvents { stream, parser, received })
            }
            TransportType::LongPolling => {
                let call = service.call_url(Method::GET, service.client_url(&[], query)).token(token);
                let first = call.expect_status(200);
                let first = with_timeout(service.timeout, "an immediate response to the first poll", first);
                expect_eq("the length of the first poll", 0, first.await?.body.len())?;
                Ok(Self::LongPolling)
            }
        }
    }
}

/// Parses Server-Sent Events as `EventSource` does: from bytes to the data of each event. A line ends with CR, LF or CRLF.
///
/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>
#[derive(Default)]
pub(crate) struct EventStreamParser {
    line: Vec<u8>,
    /// Whether the last byte was a CR, so that a LF ends no further line.
    after_cr: bool,
    /// The data of the current event so far.
    data: Option<String>,
}

impl EventStreamParser {
    /// Adds bytes and returns the data of the events that are complete. Events without data are skipped.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\r' | b'\n' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    /// Returns the data of the event that the line ends.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => *data = format!("{data}\n{value}"),
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_parsed_from_chunks_of_any_size() {
        let stream =
            b":\r\ndata: {}\x1e\r\n\r\ndata: a\r\ndata: b\r\n\r\n:\n\nevent: x\ndata:c\n\ndata: d\rdata\rdata: e\n\r";
        let expected = ["{}\x1e", "a\nb", "c", "d\n\ne"];
        for size in 1..=stream.len() {
            let mut parser = EventStreamParser::default();
            let events: Vec<String> = stream.chunks(size).flat_map(|bytes| parser.add(bytes)).collect();
            assert_eq!(events, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn an_incomplete_event_is_kept_until_it_is_complete() {
        let mut parser = EventStreamParser::default();
        assert!(parser.add(b"data: x\r\n").is_empty());
        assert_eq!(parser.add(b"\r\n"), ["x"]);
    }
}
