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
    ServerSentEvents { stream: reqwest::Response, parser: EventStreamParser, received: VecDeque<String> },
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
                let (parser, received) = (EventStreamParser::default(), VecDeque::new());
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

/// Parses Server-Sent Events: from bytes to the data of each event.
#[derive(Default)]
pub(crate) struct EventStreamParser {
    pending: Vec<u8>,
}

impl EventStreamParser {
    /// Adds bytes and returns the data of the events that are complete. Events without data are skipped.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Vec<String> {
        self.pending.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some((end, length)) = find_blank_line(&self.pending) {
            let event: Vec<u8> = self.pending.drain(..end + length).take(end).collect();
            events.extend(event_data(&String::from_utf8_lossy(&event)));
        }
        events
    }
}

/// The position of the end of an event, and the length of the line ends there.
fn find_blank_line(bytes: &[u8]) -> Option<(usize, usize)> {
    let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\r\r"];
    ends.iter().filter_map(|end| Some((bytes.windows(end.len()).position(|window| window == *end)?, end.len()))).min()
}

fn event_data(event: &str) -> Option<String> {
    let lines: Vec<&str> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_parsed_from_chunks_of_any_size() {
        let stream = b":\r\ndata: {}\x1e\r\n\r\ndata: a\r\ndata: b\r\n\r\n:\n\nevent: x\ndata:c\n\n";
        let expected = ["{}\x1e", "a\nb", "c"];
        for size in 1..stream.len() {
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
