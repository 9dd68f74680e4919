//! The cases by number.
//!
//! A case may run beside the others unless it changes what they stand on: the service's settings, its process, or the number of sockets
//! this process may open. Those run last, one after another.

mod clients;
mod connection_string;
mod load;
mod management;
mod negotiate;
mod polling;
mod sdk;
mod sends;
mod tokens;
mod upstream;
mod websocket;

use std::pin::Pin;

use crate::outcome::{Stop, Verdict};
use crate::stage::{House, Stage};

type Run = fn(Stage) -> Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// What a case cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Upstream,
    Settings,
    Restart,
    Node,
    Python,
}

/// One numbered case.
pub(crate) struct Case {
    pub(crate) number: u8,
    pub(crate) title: &'static str,
    /// What the suite plays instead of running it.
    pub(crate) plays: Option<&'static str>,
    pub(crate) alone: bool,
    pub(crate) run: Run,
    needs: &'static [Need],
}

impl Case {
    const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    const fn plays(mut self, what: &'static str) -> Self {
        self.plays = Some(what);
        self
    }

    /// Whether everything that the case needs is there.
    pub(crate) fn can_run(&self, house: &House) -> Verdict {
        let option = |need: &Need| match need {
            Need::Upstream => house.webhooks.is_none().then_some("--upstream-port"),
            Need::Settings => {
                let writes = house.webhooks.as_ref().is_some_and(|webhooks| webhooks.writes_settings());
                (!writes).then_some("--upstream-settings")
            }
            Need::Restart => house.restart_command.is_none().then_some("--restart-command"),
            Need::Node => house.node_modules.is_none().then_some("--node-modules"),
            Need::Python => house.python.is_none().then_some("--python"),
        };
        let missing: Vec<&str> = self.needs.iter().filter_map(option).collect();
        if missing.is_empty() { Ok(()) } else { Err(Stop::needs(missing.join(", "))) }
    }
}

macro_rules! case {
    ($number:literal, $run:path, $title:literal) => {
        Case {
            number: $number,
            title: $title,
            plays: None,
            alone: false,
            run: |stage| Box::pin($run(stage)),
            needs: &[],
        }
    };
}

/// All of them, in order.
pub(crate) const ALL: [Case; 91] = [
    case!(
        1,
        connection_string::port_beside_the_endpoint,
        "connection string: a port of its own, never in an audience"
    ),
    case!(
        2,
        connection_string::any_letter_case,
        "connection string: names in any letter case, keys with `=`"
    ),
    case!(3, connection_string::malformed, "connection string: each mistake has its words"),
    case!(4, connection_string::port_wins, "connection string: `Port` wins, but not over `ClientEndpoint`"),
    case!(5, connection_string::identities, "connection string: an identity or a key is asked for"),
    case!(6, tokens::of_a_user, "token: audience, user and lifetime of a client's token"),
    case!(7, tokens::of_an_application, "token: an application stands before the hub"),
    case!(
        8,
        tokens::of_a_user_with_a_claim_that_is_taken,
        "token: a user's claim named `exp` is not a lifetime"
    ),
    case!(9, negotiate::version_1, "negotiate: two ids, three transports, text first"),
    case!(10, negotiate::version_0, "negotiate: version 0 has one id"),
    case!(11, negotiate::other_versions, "negotiate: a newer version gets 1, no number an error"),
    case!(12, negotiate::who_may, "negotiate: POST only, signed only, whatever `kid` says"),
    case!(13, negotiate::expired, "negotiate: an expired token is refused"),
    case!(14, negotiate::audiences, "negotiate: audiences with and without port and slash, but of this hub"),
    case!(15, negotiate::audience_of_a_rest_call, "negotiate: a token for REST opens no client"),
    case!(16, negotiate::number_of_hubs, "negotiate: exactly one hub"),
    case!(17, negotiate::stateful_only_if_asked, "negotiate: stateful reconnect only for who asks"),
    case!(18, negotiate::preflight, "negotiate: browsers may ask first, without a token"),
    case!(19, negotiate::transports_of_a_token, "negotiate: a token may narrow the transports"),
    case!(20, negotiate::strange_parameters, "negotiate: unknown parameters do not matter"),
    case!(21, websocket::handshake, "WebSocket: the answer to the handshake is the first frame"),
    case!(22, websocket::without_an_id, "WebSocket: without an id, as from Python"),
    case!(23, websocket::token_in_the_query, "WebSocket: the token in the query, as from browsers"),
    case!(24, websocket::ids, "WebSocket: an id opens one socket, and the public id none"),
    case!(25, websocket::handshake_versions, "handshake: versions 0 and 2 are taken, 99 is refused in words"),
    case!(26, websocket::unknown_protocol, "handshake: an unknown protocol is refused in words"),
    case!(27, websocket::no_handshake, "handshake: it has 15 s, or what the token says"),
    case!(28, websocket::message_pack, "handshake: MessagePack begins with a text frame"),
    case!(
        29,
        websocket::frames_are_not_messages,
        "WebSocket: messages across frames, frames with several messages"
    ),
    case!(30, websocket::pings, "WebSocket: pings of the hub after 15 s, never of the socket"),
    case!(31, websocket::silence, "WebSocket: who fell silent goes after 30 s, who never pinged stays"),
    case!(32, websocket::polite_end, "WebSocket: a client's Close ends the connection"),
    case!(33, websocket::host_without_port, "WebSocket: a `Host` without port"),
    case!(34, websocket::unknown_type, "WebSocket: an unknown type of message is ignored"),
    case!(35, polling::event_stream, "events: headers, first bytes, handshake"),
    case!(36, polling::events_are_text, "events: no MessagePack, in words"),
    case!(37, polling::event_stream_ids, "events: an id is required, and has to be known"),
    case!(38, polling::polls, "polls: the first is answered at once, the next one held"),
    case!(39, polling::polls_carry_a_header, "polls: the token in the query does not count"),
    case!(40, polling::idle_poll, "polls: an idle one ends empty, and the next one works"),
    case!(41, polling::second_poll, "polls: a second one sends the first home"),
    case!(42, polling::delete, "polls: DELETE ends the connection"),
    case!(43, polling::one_transport_each, "transports: a connection keeps to its own"),
    case!(44, polling::no_polls, "polls: who stops polling is gone, and out of groups"),
    case!(45, sends::to_everybody, "send: to a hub in any letter case, and to no other"),
    case!(46, sends::as_the_sdk_writes_it, "send: PascalCase in chunks"),
    case!(47, sends::numbers_of_arguments, "send: arguments absent, null, none and twelve"),
    case!(48, sends::excluded, "send: to all but some"),
    case!(49, sends::in_the_first_version, "send: as in v1"),
    case!(50, sends::to_a_user, "send: to every connection of a user, or nobody"),
    case!(51, sends::values, "send: the same values in both protocols"),
    case!(52, sends::to_a_group, "send: to a group, or all but some of it"),
    case!(53, sends::of_an_application, "send: to an application's hub"),
    case!(54, sends::malformed, "send: what is no message is refused"),
    case!(55, sends::framed_by_the_caller, "send: framed by the caller, each protocol its own"),
    case!(56, sends::limits, "send: too large, and names that cannot be"),
    case!(57, sends::encoded_segments, "send: names with a slash in them are decoded once"),
    case!(58, sends::whose_calls, "send: whose tokens are taken"),
    case!(59, management::is_it_there, "ask: connections, users and groups that are there or not"),
    case!(60, management::is_the_user_in_the_group, "ask: a user in a group, in both orders"),
    case!(61, management::connection_into_group, "groups: a connection, if there is one"),
    case!(62, management::out_of_groups_never_joined, "groups: leaving what was never joined"),
    case!(63, management::user_into_group_of_an_empty_hub, "groups: a user before anybody came"),
    case!(64, management::what_survives_a_connection, "groups: users stay, connections do not"),
    case!(65, management::memberships_that_end, "groups: memberships for a time, or for now"),
    case!(66, management::close_a_connection, "close: with a reason for who may know it"),
    case!(67, management::close_many, "close: hub, group and user, all but some"),
    case!(68, management::health, "health: without a token"),
    case!(69, management::generate_token, "tokens: made by the service"),
    case!(70, management::list_a_group, "groups: who is in, page by page"),
    case!(71, management::invoke_a_client, "invoke: a client answers"),
    case!(72, management::execute, "execute: a command for all who match"),
    case!(73, management::unknown_paths, "REST: unknown paths and methods"),
    case!(74, upstream::connected, "upstream: `connected`, signed, before anything else")
        .needs(&[Need::Upstream]),
    case!(75, upstream::messages, "upstream: messages without their framing").needs(&[Need::Upstream]),
    case!(76, upstream::answers, "upstream: what an answer means to who invoked").needs(&[Need::Upstream]),
    case!(77, upstream::disconnected, "upstream: one `disconnected` each, with the error if any")
        .needs(&[Need::Upstream]),
    case!(78, upstream::templates, "upstream: templates, and changes to them")
        .needs(&[Need::Upstream, Need::Settings])
        .alone(),
    case!(79, upstream::query_of_the_client, "upstream: the client's query without its token")
        .needs(&[Need::Upstream]),
    case!(80, upstream::nobody_to_ask, "upstream: nobody to ask is an error, not silence").alone(),
    case!(81, upstream::streams, "upstream: a stream is an error, not silence"),
    case!(82, clients::javascript, "@microsoft/signalr: every transport and protocol").needs(&[Need::Node]),
    case!(83, clients::javascript_after_a_restart, "@microsoft/signalr: reconnects after a restart")
        .needs(&[Need::Node, Need::Restart])
        .alone(),
    case!(
        84,
        clients::javascript_stateful,
        "@microsoft/signalr: nothing lost, nothing twice in a stateful reconnect"
    )
    .needs(&[Need::Node]),
    case!(85, clients::javascript_without_stateful, "@microsoft/signalr: asks for it in vain")
        .needs(&[Need::Node]),
    case!(
        86,
        clients::pysignalr,
        "pysignalr: both protocols, redirected and direct, through a minute of nothing"
    )
    .needs(&[Need::Python]),
    case!(87, clients::pysignalr_after_a_close, "pysignalr: comes back after a Close").needs(&[Need::Python]),
    case!(88, clients::signalrcore, "signalrcore: redirected and direct, through a minute of nothing")
        .needs(&[Need::Python]),
    case!(89, sdk::management_sdk, ".NET management SDK: its requests, to the letter")
        .plays("the requests of the SDK, played, not run"),
    case!(90, sdk::functions_host, "Functions host: negotiation, output and trigger with its signature")
        .needs(&[Need::Upstream])
        .plays("the host, played, not run"),
    case!(91, load::thousand, "a thousand clients: once each, in order").alone(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection::CASES;

    #[test]
    fn every_number_has_its_case() {
        assert!(ALL.iter().map(|case| case.number).eq(CASES));
    }

    #[test]
    fn titles_fit_a_table() {
        for case in ALL {
            assert!(case.title.len() <= 80 && !case.title.contains('|'), "{}", case.number);
        }
    }
}
