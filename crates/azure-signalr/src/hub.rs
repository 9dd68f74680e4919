//! One hub of the service: access for clients, and messages to them. Its groups are in `group`.
//!
//! A `Hub` is cheap to clone; clones share connections. It takes the wall-clock time as an argument.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use azure_http::{CALL_TIMEOUT, Method, Retry, RetryState, join_segments};
use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use crate::access_token::{Claims, MAX_TOKEN_BYTES, claim_name};
use crate::connection_string::ConnectionString;
use crate::error::{Error, Kind};
use crate::message::{Message, Recipient};
use crate::name::{HubName, UserId};
use crate::request_auth::RequestAuth;
use crate::send_receipt::{Attempt, SendReceipt};
use crate::transport::Transport;

/// The data-plane version that brought `/:send`; every later one has the same form.
const API_VERSION: &str = "2022-06-01";
/// The `x-ms-error-code` of a 404 for a user without connections. A 404 without it comes from something else, such as a gateway.
const USER_NOT_CONNECTED: &str = "Warning.User.NotExisted";

/// The longest response that is read: a page of 200 connections whose user ids are as long as they may be, in JSON escapes.
const MAX_BODY_BYTES: usize = 2 << 20;

/// A hub of an Azure SignalR Service: sends messages to its clients, and issues their access tokens.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::SystemTime;
/// use azure_signalr::{ClientIdentity, ConnectionString, Hub};
///
/// let connection: ConnectionString = "Endpoint=https://contoso.service.signalr.net;AccessKey=KEY".parse()?;
/// let hub = Hub::new(&connection, &"chat".parse()?)?;
/// let access = hub.client_access(&ClientIdentity::anonymous(), SystemTime::now()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Hub(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    transport: Transport,
    auth: RequestAuth,
    /// `…/api/hubs/{hub}`
    rest: Url,
    /// The same with the endpoint's host and no port, as audiences have it.
    rest_audience: Url,
    /// The query of all operations but those that need a newer version.
    query: String,
    /// `application=…&`, or empty.
    application: String,
    client_url: Url,
    client_audience: Url,
}

/// What a client needs to connect. Serialises to the response of a negotiate endpoint.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientAccess {
    /// The service's own client endpoint.
    pub url: String,
    /// The token to connect with.
    pub access_token: String,
}

/// Who a client is: the user and further claims for its access token.
#[derive(Clone, Debug, Default)]
pub struct ClientIdentity<'a> {
    user: Option<&'a UserId>,
    claims: Vec<(String, Vec<String>)>,
}

impl<'a> ClientIdentity<'a> {
    /// A client without a user: messages to a user never reach this connection.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A client that is signed in as `user`.
    #[must_use]
    pub fn user(user: &'a UserId) -> Self {
        Self { user: Some(user), claims: Vec::new() }
    }

    /// Adds a claim for upstream functions. Given twice, it becomes a list. A name the token needs itself is prefixed with `asrs.u.`,
    /// which the service takes off again.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<String>) -> Self {
        let name = claim_name(name);
        match self.claims.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.into()),
            None => self.claims.push((name, vec![value.into()])),
        }
        self
    }
}

impl Hub {
    /// The hub `name` of the service behind `connection`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built on this machine.
    pub fn new(connection: &ConnectionString, name: &HubName) -> Result<Self, Error> {
        Self::build(connection, None, name)
    }

    /// The hub `name` of one of several applications that share a service. Its clients connect to `{application}_{name}`.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built on this machine.
    pub fn in_application(connection: &ConnectionString, application: &HubName, name: &HubName) -> Result<Self, Error> {
        Self::build(connection, Some(application), name)
    }

    fn build(connection: &ConnectionString, application: Option<&HubName>, name: &HubName) -> Result<Self, Error> {
        let audience = connection.audience_base();
        let client_name = application.map_or_else(
            || name.as_str().to_owned(),
            |application| format!("{}_{}", application.as_str(), name.as_str()),
        );
        let client_url = |base: &Url| {
            let mut url = join_segments(base, &["client", ""]);
            url.set_query(Some(&format!("hub={client_name}")));
            url
        };
        let application = application.map_or_else(String::new, |name| format!("application={}&", name.as_str()));
        let rest = ["api", "hubs", name.as_str()];
        let transport = Transport::new(connection.roots())?;
        Ok(Self(Arc::new(Inner {
            auth: RequestAuth::new(connection, &transport),
            transport,
            rest: join_segments(connection.server_endpoint(), &rest),
            rest_audience: join_segments(&audience, &rest),
            query: format!("{application}api-version={API_VERSION}"),
            application,
            client_url: client_url(connection.client_endpoint()),
            client_audience: client_url(&audience),
        })))
    }

    /// With an identity, requests what calls will need and returns at once, so that the first call need not wait for it. With a key it
    /// does nothing.
    ///
    /// # Panics
    ///
    /// With an identity, outside a tokio runtime. The requests go on in that runtime until the hub and its clones are dropped.
    pub fn warm_up(&self) {
        self.0.auth.warm_up();
    }

    /// Access for one client, until one hour after `now`.
    ///
    /// With a key this never waits. With an identity it waits for ten seconds at most, and only while there has never been a key to
    /// sign with or the last has expired.
    ///
    /// # Errors
    ///
    /// When the claims make a token longer than the service takes; with an identity, when there is no key.
    pub async fn client_access(&self, client: &ClientIdentity<'_>, now: SystemTime) -> Result<ClientAccess, Error> {
        let claims = Claims::new(self.0.client_audience.as_str(), now);
        let claims = Claims { user: client.user, extra: &client.claims, ..claims };
        let access_token = self.0.auth.sign(&claims, now, Instant::now() + CALL_TIMEOUT).await?;
        if access_token.len() > MAX_TOKEN_BYTES {
            return Err(Kind::TokenTooLong.into());
        }
        Ok(ClientAccess { url: self.0.client_url.to_string(), access_token })
    }

    /// Sends `message` to `recipient`; `now` is the time by which its token is made.
    ///
    /// The service has the message when this returns. Within ten seconds, the request is made up to four times, as the policy of
    /// `azure-http` says: after failures that pass and cannot send the message twice, or may if it is
    /// [idempotent](Message::idempotent).
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or refuses. The error, too, has the [attempts](Error::attempts).
    pub async fn send(
        &self,
        recipient: Recipient<'_>,
        message: &Message,
        now: SystemTime,
    ) -> Result<SendReceipt, Error> {
        let mut state = RetryState::start(message.retry);
        let (url, audience) = self.0.send_addresses(recipient);
        let token = self.0.auth.token(&audience, now, state.deadline()).await?;
        let mut attempts = Vec::with_capacity(1);
        loop {
            let started = std::time::Instant::now();
            let post = self.0.transport.post(&url, &token, &message.body, state.connection(), now);
            let result = state.attempt(post).await;
            let outcome = result.as_ref().map_or_else(Error::outcome, |status| Ok(*status));
            let resend_count = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
            attempts.push(Attempt::ended(recipient.route(), resend_count, started, outcome));
            let Err(error) = result else { return Ok(SendReceipt { attempts }) };
            if !state.wait(error.failure()).await {
                return Err(Error { attempts, ..self.0.auth.explain(error) });
            }
        }
    }

    /// Whether `user` has at least one connection to the hub; `now` is the time by which its token is made.
    ///
    /// It is made up to four times within ten seconds, as a message that is [idempotent](Message::idempotent).
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or responds with anything but yes or no.
    pub async fn user_exists(&self, user: &UserId, now: SystemTime) -> Result<bool, Error> {
        let (url, audience) = self.0.addresses(&["users", user.as_str()]);
        match self.0.call(Method::HEAD, Retry::Idempotent, &url, &audience, now).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_rejection(404, USER_NOT_CONNECTED) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Host and port of REST calls. Neither is a secret.
    pub fn server(&self) -> (&str, u16) {
        let (host, port) = (self.0.rest.host_str(), self.0.rest.port_or_known_default());
        (host.unwrap_or_default(), port.unwrap_or_default())
    }
}

impl Inner {
    fn send_addresses(&self, recipient: Recipient<'_>) -> (Url, Url) {
        match recipient {
            Recipient::Everyone => self.addresses(&[":send"]),
            Recipient::User(user) => self.addresses(&["users", user.as_str(), ":send"]),
            Recipient::Group(group) => self.addresses(&["groups", group.as_str(), ":send"]),
        }
    }

    /// The URL of a REST operation on the hub, and the audience of its token.
    pub(crate) fn addresses(&self, segments: &[&str]) -> (Url, Url) {
        let mut url = join_segments(&self.rest, segments);
        url.set_query(Some(&self.query));
        (url, join_segments(&self.rest_audience, segments))
    }

    /// The same, for an operation that needs this version of the REST API.
    pub(crate) fn addresses_since(&self, version: &str, segments: &[&str]) -> (Url, Url) {
        let (mut url, audience) = self.addresses(segments);
        url.set_query(Some(&format!("{}api-version={version}", self.application)));
        (url, audience)
    }

    /// Makes a call without a body, repeated where `retry` allows that, and returns the body of the response.
    pub(crate) async fn call(
        &self,
        method: Method,
        retry: Retry,
        url: &Url,
        audience: &Url,
        now: SystemTime,
    ) -> Result<Vec<u8>, Error> {
        let mut state = RetryState::start(retry);
        let token = self.auth.token(audience, now, state.deadline()).await?;
        loop {
            let call = self.transport.call(method.clone(), url, &token, MAX_BODY_BYTES, state.connection(), now);
            match state.attempt(call).await {
                Ok(body) => return Ok(body),
                Err(error) if state.wait(error.failure()).await => {}
                Err(error) => return Err(self.auth.explain(error)),
            }
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("rest", &self.0.rest.as_str()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAccess").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        NOW + std::time::Duration::from_secs(seconds)
    }

    fn connection(text: &str) -> ConnectionString {
        format!("{text};AccessKey=k").parse().unwrap()
    }

    fn claims(token: &str) -> serde_json::Value {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn case_6_a_users_token_is_for_the_hub_in_lower_case_and_lasts_an_hour() {
        let hub = Hub::new(&connection("Endpoint=http://localhost;Port=8888"), &"Chat".parse().unwrap()).unwrap();
        let user = "u1".parse().unwrap();
        let access = hub.client_access(&ClientIdentity::user(&user), at(1_800_000_000)).await.unwrap();
        assert_eq!(access.url, "http://localhost:8888/client/?hub=chat");
        let claims = claims(&access.access_token);
        assert_eq!(claims["aud"], "http://localhost/client/?hub=chat");
        assert_eq!(claims["asrs.s.uid"], "u1");
        assert_eq!(claims["exp"], 1_800_003_600);
    }

    #[tokio::test]
    async fn case_7_an_application_goes_before_the_hub() {
        let (application, name) = ("App".parse().unwrap(), "Chat".parse().unwrap());
        let hub = Hub::in_application(&connection("Endpoint=https://h"), &application, &name).unwrap();
        let access = hub.client_access(&ClientIdentity::anonymous(), NOW).await.unwrap();
        assert_eq!(access.url, "https://h/client/?hub=app_chat");
        assert_eq!(claims(&access.access_token)["aud"], "https://h/client/?hub=app_chat");
        let (url, _) = hub.0.send_addresses(Recipient::Everyone);
        assert_eq!(url.as_str(), "https://h/api/hubs/chat/:send?application=app&api-version=2022-06-01");
    }

    #[tokio::test]
    async fn case_8_extra_claims_travel_and_lists_stay_lists() {
        let hub = Hub::new(&connection("Endpoint=https://h"), &"chat".parse().unwrap()).unwrap();
        let client = ClientIdentity::anonymous().claim("exp", "x").claim("role", "a").claim("role", "b");
        let claims = claims(&hub.client_access(&client, NOW).await.unwrap().access_token);
        assert_eq!(claims["asrs.u.exp"], "x");
        assert_eq!(claims["role"], serde_json::json!(["a", "b"]));
        assert_eq!(claims.get("asrs.s.uid"), None);
    }

    #[tokio::test]
    async fn a_gateway_keeps_its_path_and_the_audience_stays_the_services() {
        let connection = connection("Endpoint=https://h;ClientEndpoint=https://gw/p;ServerEndpoint=https://srv:444/q/");
        let hub = Hub::new(&connection, &"chat".parse().unwrap()).unwrap();
        let access = hub.client_access(&ClientIdentity::anonymous(), NOW).await.unwrap();
        assert_eq!(access.url, "https://gw/p/client/?hub=chat");
        assert_eq!(claims(&access.access_token)["aud"], "https://h/client/?hub=chat");
        let (url, audience) = hub.0.send_addresses(Recipient::Everyone);
        assert_eq!(url.as_str(), "https://srv:444/q/api/hubs/chat/:send?api-version=2022-06-01");
        assert_eq!(audience.as_str(), "https://h/api/hubs/chat/:send");
    }

    #[test]
    fn a_name_is_one_segment_with_any_characters_in_it() {
        let hub = Hub::new(&connection("Endpoint=https://h"), &"chat".parse().unwrap()).unwrap();
        let room = "room:a/b".parse().unwrap();
        let (url, audience) = hub.0.send_addresses(Recipient::Group(&room));
        assert_eq!((url.path(), audience.path()), ("/api/hubs/chat/groups/room:a%2Fb/:send", url.path()));
        for (user, segment) in [("a/b c", "a%2Fb%20c"), ("a?b#c%", "a%3Fb%23c%25"), ("...", "..."), ("ö", "%C3%B6")] {
            let user = user.parse().unwrap();
            let (url, _) = hub.0.send_addresses(Recipient::User(&user));
            assert_eq!(url.path(), format!("/api/hubs/chat/users/{segment}/:send"));
        }
    }

    #[tokio::test]
    async fn a_token_the_service_would_refuse_is_not_made() {
        let hub = Hub::new(&connection("Endpoint=https://h"), &"chat".parse().unwrap()).unwrap();
        let long =
            hub.client_access(&ClientIdentity::anonymous().claim("a", "x".repeat(4_096)), NOW).await.unwrap_err();
        assert!(!long.is_retryable());
        let longest = "\"".repeat(UserId::MAX_BYTES).parse().unwrap();
        hub.client_access(&ClientIdentity::user(&longest), NOW).await.unwrap();
    }

    #[tokio::test]
    async fn what_holds_a_key_or_a_token_does_not_print_it() {
        let hub = Hub::new(&connection("Endpoint=https://h"), &"chat".parse().unwrap()).unwrap();
        let access = hub.client_access(&ClientIdentity::anonymous(), NOW).await.unwrap();
        assert!(!format!("{hub:?} {access:?}").contains(&access.access_token));
    }
}
