//! The list of all cases: number, id, title, and what each needs to run.

mod credentials;
mod disconnected;
mod handshake;
mod http;
mod management;
mod negotiate;
mod published_clients;
mod send;
mod sse_and_polling;
mod stateful_reconnect;
mod upstream;
mod upstream_settings;
mod websocket;

use std::pin::Pin;

use crate::case_result::{CaseResult, Failure};
use crate::test_context::{TestContext, TestEnv};

type Run = fn(TestContext) -> Pin<Box<dyn Future<Output = CaseResult> + Send>>;

/// A case and its two names, which never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaseInfo {
    /// The number of the case.
    pub number: u8,
    /// The id of the case, in kebab case.
    pub id: &'static str,
    /// The subject of the case.
    pub title: &'static str,
}

/// A case with its code.
pub(crate) struct Case {
    pub(crate) info: CaseInfo,
    pub(crate) run: Run,
}

impl Case {
    /// What the suite simulates in place of a program it cannot run.
    pub(crate) fn note(&self) -> Option<&'static str> {
        match self.info.number {
            89 => Some("the requests of the SDK, simulated"),
            90 => Some("the host, simulated"),
            109 | 110 => Some("for the emulator of this repository only"),
            _ => None,
        }
    }

    /// Whether the case disturbs others: it changes settings, restarts the service, or opens many sockets.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self.info.number, 78 | 80 | 83 | 91 | 100 | 104)
    }

    /// Fails with the options that are missing for the case.
    pub(crate) fn check_requirements(&self, env: &TestEnv) -> CaseResult {
        let webhooks = ("--upstream-port", env.webhooks.is_some());
        let can_write = env.webhooks.as_ref().is_some_and(|webhooks| webhooks.can_write_settings());
        let node_modules = ("--node-modules", env.node_modules.is_some());
        let requirements = match self.info.number {
            74..=77 | 79 | 90 | 101..=103 => vec![webhooks],
            78 | 104 => vec![webhooks, ("--upstream-settings", can_write)],
            82 | 84 | 85 => vec![node_modules],
            83 => vec![node_modules, ("--restart-command", env.restart_command.is_some())],
            86..=88 => vec![("--python", env.python.is_some())],
            100 => vec![("--max-connections", env.max_connections.is_some())],
            _ => vec![],
        };
        let missing: Vec<_> = requirements.iter().filter(|(_, given)| !given).map(|(option, _)| *option).collect();
        if missing.is_empty() { Ok(()) } else { Err(Failure::needs(missing.join(", "))) }
    }
}

macro_rules! cases {
    ($($number:literal, $id:literal, $run:path, $title:literal;)*) => {
        [$(Case {
            info: CaseInfo { number: $number, id: $id, title: $title },
            run: |context| Box::pin($run(context)),
        }),*]
    };
}

/// All cases, ordered by number.
pub(crate) const ALL: [Case; 110] = cases! {
    1, "connection-string-port", credentials::separate_port,
        "connection string: a separate port, not part of audiences";
    2, "connection-string-case", credentials::letter_case, "connection string: names in any letter case, keys with `=`";
    3, "connection-string-invalid", credentials::invalid, "connection string: the error message of each mistake";
    4, "connection-string-precedence", credentials::port_precedence,
        "connection string: precedence of `Port` and `ClientEndpoint`";
    5, "connection-string-identity", credentials::identities, "connection string: an identity or a key is required";
    6, "token-client", credentials::user_token, "token: audience, user and lifetime of a client token";
    7, "token-application", credentials::application_token, "token: an application name in front of the hub";
    8, "token-reserved-claim", credentials::reserved_user_claim, "token: a user claim named `exp` is not a lifetime";
    9, "negotiate-version-1", negotiate::version_1, "negotiate: version 1 has two ids and three transports";
    10, "negotiate-version-0", negotiate::version_0, "negotiate: version 0 has one id";
    11, "negotiate-other-versions", negotiate::other_versions,
        "negotiate: a newer version gets 1, an invalid one an error";
    12, "negotiate-authorization", negotiate::authorization, "negotiate: POST only, signed tokens only, any `kid`";
    13, "negotiate-expired-token", negotiate::expired_token, "negotiate: an expired token is rejected";
    14, "negotiate-audiences", negotiate::audiences,
        "negotiate: audiences of this hub, with and without port and slash";
    15, "negotiate-rest-audience", negotiate::rest_audience, "negotiate: a token for the REST API is rejected";
    16, "negotiate-hub", negotiate::hub_parameter, "negotiate: exactly one hub";
    17, "negotiate-stateful", negotiate::stateful_reconnect_on_request, "negotiate: stateful reconnect only on request";
    18, "negotiate-preflight", negotiate::preflight, "negotiate: CORS preflight without a token";
    19, "negotiate-transports", negotiate::transports_claim, "negotiate: a token can restrict the transports";
    20, "negotiate-unknown-parameters", negotiate::unknown_parameters, "negotiate: unknown parameters are ignored";
    21, "websocket-handshake", websocket::handshake, "WebSocket: the handshake response is the first frame";
    22, "websocket-without-id", websocket::without_id, "WebSocket: without an id, as Python clients connect";
    23, "websocket-token-in-query", websocket::token_in_query, "WebSocket: the token in the query, as browsers send it";
    24, "websocket-ids", websocket::ids, "WebSocket: a connection token opens one socket, a connection id none";
    25, "handshake-versions", handshake::versions, "handshake: versions 0 and 2 are accepted, 99 is an error";
    26, "handshake-unknown-protocol", handshake::unknown_protocol, "handshake: an unknown protocol is an error";
    27, "handshake-timeout", handshake::timeout, "handshake: a timeout of 15 s, or as the token has it";
    28, "handshake-message-pack", websocket::message_pack, "handshake: MessagePack begins with a text frame";
    29, "websocket-framing", websocket::message_framing,
        "WebSocket: messages across frames, several messages in a frame";
    30, "websocket-pings", websocket::pings, "WebSocket: hub pings after 15 s, and no WebSocket pings";
    31, "websocket-client-timeout", websocket::client_timeout,
        "WebSocket: a client that stops pinging is closed after 30 s";
    32, "websocket-close-message", websocket::close_message,
        "WebSocket: a Close message of the client ends the connection";
    33, "websocket-host-without-port", websocket::host_without_port, "WebSocket: a `Host` without port";
    34, "websocket-unknown-message", websocket::unknown_message_type, "WebSocket: an unknown message type is ignored";
    35, "sse-handshake", sse_and_polling::event_stream, "Server-Sent Events: headers, first bytes, handshake";
    36, "sse-is-text", sse_and_polling::event_stream_is_text, "Server-Sent Events: MessagePack is an error";
    37, "sse-ids", sse_and_polling::event_stream_ids, "Server-Sent Events: a known id is required";
    38, "polling-first-poll", sse_and_polling::polls,
        "long polling: the first poll returns at once, the next one is held";
    39, "polling-authorization", sse_and_polling::poll_authorization, "long polling: a token in the query is ignored";
    40, "polling-idle", sse_and_polling::idle_poll, "long polling: an idle poll ends empty, and the next one works";
    41, "polling-concurrent", sse_and_polling::concurrent_polls, "long polling: a second poll ends the first";
    42, "polling-delete", sse_and_polling::delete, "long polling: DELETE ends the connection";
    43, "transport-mismatch", sse_and_polling::transport_mismatch, "transports: a connection keeps its transport";
    44, "polling-timeout", sse_and_polling::poll_timeout, "long polling: a client that stops polling is removed";
    45, "send-hub", send::to_hub, "send: to a hub in any letter case, and to no other";
    46, "send-sdk-body", send::sdk_body, "send: PascalCase in chunks, as the .NET SDK writes it";
    47, "send-arguments", send::arguments, "send: arguments absent, null, none and twelve";
    48, "send-excluded", send::excluded, "send: to all except some connections";
    49, "send-v1", send::v1, "send: with version 1 of the REST API";
    50, "send-user", send::to_user, "send: to all connections of a user, or none";
    51, "send-values", send::values, "send: the same values in both protocols";
    52, "send-group", send::to_group, "send: to a group, and to all except some of it";
    53, "send-application", send::to_application_hub, "send: to a hub of an application";
    54, "send-invalid-body", send::invalid_body, "send: an invalid body is rejected";
    55, "send-frames", send::protocol_frames, "send: frames for each protocol, written by the caller";
    56, "send-limits", send::limits, "send: bodies and names that exceed the limits";
    57, "send-encoded-names", send::encoded_segments, "send: names are percent-decoded once";
    58, "send-authorization", send::authorization, "send: which tokens are accepted";
    59, "exists", management::existence, "exists: connections, users and groups";
    60, "exists-user-in-group", management::user_in_group, "exists: a user in a group, in both path orders";
    61, "group-add-connection", management::add_connection_to_group, "groups: adding a connection that exists";
    62, "group-leave-unjoined", management::leave_unjoined_groups, "groups: leaving groups that were never joined";
    63, "group-add-absent-user", management::add_absent_user_to_group, "groups: adding a user before it connects";
    64, "group-after-reconnect", management::memberships_after_reconnect,
        "groups: users stay members, connections do not";
    65, "group-ttl", management::membership_ttl, "groups: memberships with a time to live";
    66, "close-connection", management::close_connection, "close: a connection, with a reason if it receives errors";
    67, "close-connections", management::close_connections, "close: hub, group and user, all except some";
    68, "health", management::health, "health: without a token";
    69, "generate-token", management::generate_token, "tokens: generated by the service";
    70, "group-list", management::list_group, "groups: list of members in pages";
    71, "invoke-client", management::invoke_client, "invoke: the result of a client";
    72, "execute", management::execute, "execute: a command for all that match";
    73, "rest-unknown-paths", management::unknown_paths, "REST: unknown paths and methods";
    74, "upstream-connected", upstream::connected, "upstream: `connected`, signed, before all other events";
    75, "upstream-messages", upstream::messages, "upstream: messages without their framing";
    76, "upstream-responses", upstream::responses, "upstream: the result of an invocation for each kind of response";
    77, "upstream-disconnected", disconnected::once, "upstream: one `disconnected` each, with the error if any";
    78, "upstream-templates", upstream_settings::templates, "upstream: templates, and changes to them";
    79, "upstream-client-query", upstream::client_query, "upstream: the query of the client without its token";
    80, "upstream-none", upstream_settings::without_upstream, "upstream: an invocation without an upstream is an error";
    81, "upstream-streams", upstream::streams, "upstream: a stream invocation is an error";
    82, "javascript", published_clients::javascript, "@microsoft/signalr: every transport and protocol";
    83, "javascript-restart", published_clients::javascript_restart, "@microsoft/signalr: reconnects after a restart";
    84, "javascript-stateful", published_clients::javascript_stateful, "@microsoft/signalr: stateful reconnect";
    85, "javascript-not-stateful", published_clients::javascript_not_stateful,
        "@microsoft/signalr: no stateful reconnect";
    86, "pysignalr", published_clients::pysignalr, "pysignalr: JSON and MessagePack, redirected and direct, idle";
    87, "pysignalr-reconnect", published_clients::pysignalr_reconnect, "pysignalr: reconnects after a Close";
    88, "signalrcore", published_clients::signalrcore, "signalrcore: redirected and direct, idle for a minute";
    89, "dotnet-management-sdk", published_clients::management_sdk, ".NET management SDK: its requests";
    90, "functions-host", published_clients::functions_host, "Functions host: negotiation, output and trigger";
    91, "thousand-clients", send::thousand_clients, "a thousand clients: each message once, in order";
    92, "websocket-close-frame", websocket::close_frame, "WebSocket: a Close frame is answered with one";
    93, "websocket-message-too-long", websocket::message_too_long,
        "WebSocket: a message of any excessive size gets a Close and 1009";
    94, "handshake-malformed", handshake::malformed, "handshake: an invalid request gets the sentence of the service";
    95, "handshake-letter-case", handshake::letter_case, "handshake: protocol names in any letter case";
    96, "sse-line-breaks", sse_and_polling::line_breaks, "Server-Sent Events: a message with line breaks is one event";
    97, "paths-letter-case", http::letter_case, "HTTP: paths in any letter case";
    98, "send-encodings", http::encodings, "HTTP: bodies with a byte-order mark and in UTF-16";
    99, "token-length", http::token_length, "HTTP: tokens of at most 4,096 characters";
    100, "connection-limit", http::connection_limit, "HTTP: 429 with Retry-After beyond the limit of connections";
    101, "disconnected-close-frame", disconnected::close_frame, "upstream: no error after a Close frame";
    102, "disconnected-sse", disconnected::event_stream, "upstream: no error after the end of an event stream";
    103, "disconnected-delete", disconnected::delete, "upstream: no error after DELETE of long polling";
    104, "upstream-settings-comments", upstream_settings::comments,
        "upstream: settings with comments and trailing commas";
    105, "stateful-takeover", stateful_reconnect::takeover,
        "stateful reconnect: a new socket replaces a blocked one at once";
    106, "stateful-second-loss", stateful_reconnect::second_loss, "stateful reconnect: a socket lost during the replay";
    107, "stateful-bounded", stateful_reconnect::bounded, "stateful reconnect: unacknowledged messages are limited";
    108, "stateful-protocol-error", stateful_reconnect::protocol_error,
        "stateful reconnect: a protocol error ends the connection for good";
    109, "stateful-dropped-twice", stateful_reconnect::dropped_twice,
        "stateful reconnect: dropping an absent client does not end it";
    110, "persistent-mode", http::persistent_mode, "HTTP: 501 for the paths of persistent mode and ASP.NET SignalR";
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_in_kebab_case() {
        let ids: HashSet<&str> = ALL.iter().map(|case| case.info.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for id in ids {
            let is_word = |word: &str| {
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            };
            assert!(id.split('-').all(is_word) && id.starts_with(|first: char| first.is_ascii_lowercase()), "{id}");
        }
    }

    #[test]
    fn titles_fit_a_table() {
        for case in ALL {
            assert!(case.info.title.len() <= 80 && !case.info.title.contains('|'), "{}", case.info.number);
        }
    }
}
