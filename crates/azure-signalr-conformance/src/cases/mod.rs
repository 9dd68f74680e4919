//! The list of all cases: number, title, and what each needs to run.

mod credentials;
mod management;
mod negotiate;
mod published_clients;
mod send;
mod sse_and_polling;
mod upstream;
mod websocket;

use std::pin::Pin;

use crate::case_result::{CaseResult, Failure};
use crate::test_context::{TestContext, TestEnv};

type Run = fn(TestContext) -> Pin<Box<dyn Future<Output = CaseResult> + Send>>;

/// A numbered case.
pub(crate) struct Case {
    pub(crate) number: u8,
    pub(crate) title: &'static str,
    pub(crate) run: Run,
}

impl Case {
    /// What the suite simulates in place of a program it cannot run.
    pub(crate) fn note(&self) -> Option<&'static str> {
        match self.number {
            89 => Some("the requests of the SDK, simulated"),
            90 => Some("the host, simulated"),
            _ => None,
        }
    }

    /// Whether the case disturbs others: it changes settings, restarts the service, or opens a thousand sockets.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self.number, 78 | 80 | 83 | 91)
    }

    /// Fails with the options that are missing for the case.
    pub(crate) fn check_requirements(&self, env: &TestEnv) -> CaseResult {
        let webhooks = ("--upstream-port", env.webhooks.is_some());
        let can_write = env.webhooks.as_ref().is_some_and(|webhooks| webhooks.can_write_settings());
        let node_modules = ("--node-modules", env.node_modules.is_some());
        let requirements = match self.number {
            74..=77 | 79 | 90 => vec![webhooks],
            78 => vec![webhooks, ("--upstream-settings", can_write)],
            82 | 84 | 85 => vec![node_modules],
            83 => vec![node_modules, ("--restart-command", env.restart_command.is_some())],
            86..=88 => vec![("--python", env.python.is_some())],
            _ => vec![],
        };
        let missing: Vec<_> = requirements.iter().filter(|(_, given)| !given).map(|(option, _)| *option).collect();
        if missing.is_empty() { Ok(()) } else { Err(Failure::needs(missing.join(", "))) }
    }
}

macro_rules! case {
    ($number:literal, $run:path, $title:literal) => {
        Case { number: $number, title: $title, run: |context| Box::pin($run(context)) }
    };
}

/// All cases, ordered by number.
pub(crate) const ALL: [Case; 91] = [
    case!(1, credentials::separate_port, "connection string: a separate port, not part of audiences"),
    case!(2, credentials::letter_case, "connection string: names in any letter case, keys with `=`"),
    case!(3, credentials::invalid, "connection string: the error message of each mistake"),
    case!(4, credentials::port_precedence, "connection string: precedence of `Port` and `ClientEndpoint`"),
    case!(5, credentials::identities, "connection string: an identity or a key is required"),
    case!(6, credentials::user_token, "token: audience, user and lifetime of a client token"),
    case!(7, credentials::application_token, "token: an application name in front of the hub"),
    case!(8, credentials::reserved_user_claim, "token: a user claim named `exp` is not a lifetime"),
    case!(9, negotiate::version_1, "negotiate: version 1 has two ids and three transports"),
    case!(10, negotiate::version_0, "negotiate: version 0 has one id"),
    case!(11, negotiate::other_versions, "negotiate: a newer version gets 1, an invalid one an error"),
    case!(12, negotiate::authorization, "negotiate: POST only, signed tokens only, any `kid`"),
    case!(13, negotiate::expired_token, "negotiate: an expired token is rejected"),
    case!(14, negotiate::audiences, "negotiate: audiences of this hub, with and without port and slash"),
    case!(15, negotiate::rest_audience, "negotiate: a token for the REST API is rejected"),
    case!(16, negotiate::hub_parameter, "negotiate: exactly one hub"),
    case!(17, negotiate::stateful_reconnect_on_request, "negotiate: stateful reconnect only on request"),
    case!(18, negotiate::preflight, "negotiate: CORS preflight without a token"),
    case!(19, negotiate::transports_claim, "negotiate: a token can restrict the transports"),
    case!(20, negotiate::unknown_parameters, "negotiate: unknown parameters are ignored"),
    case!(21, websocket::handshake, "WebSocket: the handshake response is the first frame"),
    case!(22, websocket::without_id, "WebSocket: without an id, as Python clients connect"),
    case!(23, websocket::token_in_query, "WebSocket: the token in the query, as browsers send it"),
    case!(24, websocket::ids, "WebSocket: a connection token opens one socket, a connection id none"),
    case!(25, websocket::handshake_versions, "handshake: versions 0 and 2 are accepted, 99 is an error"),
    case!(26, websocket::unknown_protocol, "handshake: an unknown protocol is an error"),
    case!(27, websocket::handshake_timeout, "handshake: a timeout of 15 s, or as the token has it"),
    case!(28, websocket::message_pack, "handshake: MessagePack begins with a text frame"),
    case!(29, websocket::message_framing, "WebSocket: messages across frames, several messages in a frame"),
    case!(30, websocket::pings, "WebSocket: hub pings after 15 s, and no WebSocket pings"),
    case!(31, websocket::client_timeout, "WebSocket: a client that stops pinging is closed after 30 s"),
    case!(32, websocket::close_message, "WebSocket: a Close message of the client ends the connection"),
    case!(33, websocket::host_without_port, "WebSocket: a `Host` without port"),
    case!(34, websocket::unknown_message_type, "WebSocket: an unknown message type is ignored"),
    case!(35, sse_and_polling::event_stream, "Server-Sent Events: headers, first bytes, handshake"),
    case!(36, sse_and_polling::event_stream_is_text, "Server-Sent Events: MessagePack is an error"),
    case!(37, sse_and_polling::event_stream_ids, "Server-Sent Events: a known id is required"),
    case!(38, sse_and_polling::polls, "long polling: the first poll returns at once, the next one is held"),
    case!(39, sse_and_polling::poll_authorization, "long polling: a token in the query is ignored"),
    case!(40, sse_and_polling::idle_poll, "long polling: an idle poll ends empty, and the next one works"),
    case!(41, sse_and_polling::concurrent_polls, "long polling: a second poll ends the first"),
    case!(42, sse_and_polling::delete, "long polling: DELETE ends the connection"),
    case!(43, sse_and_polling::transport_mismatch, "transports: a connection keeps its transport"),
    case!(44, sse_and_polling::poll_timeout, "long polling: a client that stops polling is removed"),
    case!(45, send::to_hub, "send: to a hub in any letter case, and to no other"),
    case!(46, send::sdk_body, "send: PascalCase in chunks, as the .NET SDK writes it"),
    case!(47, send::arguments, "send: arguments absent, null, none and twelve"),
    case!(48, send::excluded, "send: to all except some connections"),
    case!(49, send::v1, "send: with version 1 of the REST API"),
    case!(50, send::to_user, "send: to all connections of a user, or none"),
    case!(51, send::values, "send: the same values in both protocols"),
    case!(52, send::to_group, "send: to a group, and to all except some of it"),
    case!(53, send::to_application_hub, "send: to a hub of an application"),
    case!(54, send::invalid_body, "send: an invalid body is rejected"),
    case!(55, send::protocol_frames, "send: frames for each protocol, written by the caller"),
    case!(56, send::limits, "send: bodies and names that exceed the limits"),
    case!(57, send::encoded_segments, "send: names are percent-decoded once"),
    case!(58, send::authorization, "send: which tokens are accepted"),
    case!(59, management::existence, "exists: connections, users and groups"),
    case!(60, management::user_in_group, "exists: a user in a group, in both path orders"),
    case!(61, management::add_connection_to_group, "groups: adding a connection that exists"),
    case!(62, management::leave_unjoined_groups, "groups: leaving groups that were never joined"),
    case!(63, management::add_absent_user_to_group, "groups: adding a user before it connects"),
    case!(64, management::memberships_after_reconnect, "groups: users stay members, connections do not"),
    case!(65, management::membership_ttl, "groups: memberships with a time to live"),
    case!(66, management::close_connection, "close: a connection, with a reason if it receives errors"),
    case!(67, management::close_connections, "close: hub, group and user, all except some"),
    case!(68, management::health, "health: without a token"),
    case!(69, management::generate_token, "tokens: generated by the service"),
    case!(70, management::list_group, "groups: list of members in pages"),
    case!(71, management::invoke_client, "invoke: the result of a client"),
    case!(72, management::execute, "execute: a command for all that match"),
    case!(73, management::unknown_paths, "REST: unknown paths and methods"),
    case!(74, upstream::connected, "upstream: `connected`, signed, before all other events"),
    case!(75, upstream::messages, "upstream: messages without their framing"),
    case!(76, upstream::responses, "upstream: the result of an invocation for each kind of response"),
    case!(77, upstream::disconnected, "upstream: one `disconnected` each, with the error if any"),
    case!(78, upstream::templates, "upstream: templates, and changes to them"),
    case!(79, upstream::client_query, "upstream: the query of the client without its token"),
    case!(80, upstream::without_upstream, "upstream: an invocation without an upstream is an error"),
    case!(81, upstream::streams, "upstream: a stream invocation is an error"),
    case!(82, published_clients::javascript, "@microsoft/signalr: every transport and protocol"),
    case!(83, published_clients::javascript_restart, "@microsoft/signalr: reconnects after a restart"),
    case!(84, published_clients::javascript_stateful, "@microsoft/signalr: stateful reconnect"),
    case!(85, published_clients::javascript_not_stateful, "@microsoft/signalr: no stateful reconnect"),
    case!(86, published_clients::pysignalr, "pysignalr: JSON and MessagePack, redirected and direct, idle"),
    case!(87, published_clients::pysignalr_reconnect, "pysignalr: reconnects after a Close"),
    case!(88, published_clients::signalrcore, "signalrcore: redirected and direct, idle for a minute"),
    case!(89, published_clients::management_sdk, ".NET management SDK: its requests"),
    case!(90, published_clients::functions_host, "Functions host: negotiation, output and trigger"),
    case!(91, send::thousand_clients, "a thousand clients: each message once, in order"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case_numbers::CASE_NUMBERS;

    #[test]
    fn every_number_has_its_case() {
        assert!(ALL.iter().map(|case| case.number).eq(CASE_NUMBERS));
    }

    #[test]
    fn titles_fit_a_table() {
        for case in ALL {
            assert!(case.title.len() <= 80 && !case.title.contains('|'), "{}", case.number);
        }
    }
}
