//! One hub of the service: access for clients, and messages to them.
//!
//! A `Hub` is cheap to clone; clones share connections. It asks for the time as an argument and has no clock of its own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use crate::connection_string::{ConnectionString, Credential};
use crate::entra::Entra;
use crate::error::{Error, Kind};
use crate::http;
use crate::message::{Message, Recipient};
use crate::name::{HubName, UserId};
use crate::rest::{accepted, under};
use crate::retry;
use crate::secret::Secret;
use crate::sent::{Sent, Try};
use crate::token::{Claims, MAX_CHARS, Signer, claim_name};

/// The data-plane version that brought `/:send`; every later one has the same form.
const API_VERSION: &str = "2022-06-01";

/// How long tokens live: the service's own default.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

/// The time for a whole call, tries and waits included.
const DEADLINE: Duration = Duration::from_secs(10);

/// A hub of a service.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    authority: Authority,
    /// `…/api/hubs/{hub}`
    rest: Url,
    /// The same with the endpoint's host and no port, as audiences have it.
    rest_audience: Url,
    query: String,
    client_url: Url,
    client_audience: Url,
}

/// What calls are made with, and clients' tokens signed.
enum Authority {
    Key(Signer),
    Identity(Entra),
}

/// What a client needs to connect. Serialises to the answer of a negotiate endpoint.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientAccess {
    /// Where to connect: the service's own client endpoint.
    pub url: String,
    /// The token to connect with.
    pub access_token: String,
}

/// Whom a client's access token is for.
#[derive(Clone, Debug, Default)]
pub struct Client<'a> {
    user: Option<&'a UserId>,
    claims: Vec<(String, Vec<String>)>,
}

impl<'a> Client<'a> {
    /// Somebody nobody knows: messages to a user never reach this connection.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A connection of this user.
    #[must_use]
    pub fn user(user: &'a UserId) -> Self {
        Self { user: Some(user), claims: Vec::new() }
    }

    /// A further claim for upstream functions. Given twice, it becomes a list. A name the token needs itself is prefixed with
    /// `asrs.u.`, which the service takes off again.
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
    /// When no HTTP client can be built here.
    pub fn new(connection: &ConnectionString, name: &HubName) -> Result<Self, Error> {
        Self::build(connection, None, name)
    }

    /// The hub `name` of one of several applications that share a service. Its clients connect to `{application}_{name}`.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built here.
    pub fn in_application(
        connection: &ConnectionString,
        application: &HubName,
        name: &HubName,
    ) -> Result<Self, Error> {
        Self::build(connection, Some(application), name)
    }

    fn build(
        connection: &ConnectionString,
        application: Option<&HubName>,
        name: &HubName,
    ) -> Result<Self, Error> {
        let audience = connection.audience_base();
        let client_name = application.map_or_else(
            || name.as_str().to_owned(),
            |application| format!("{}_{}", application.as_str(), name.as_str()),
        );
        let client_query = format!("hub={client_name}");
        let with_query = |mut url: Url| {
            url.set_query(Some(&client_query));
            url
        };
        let application =
            application.map_or_else(String::new, |name| format!("application={}&", name.as_str()));
        let rest = ["api", "hubs", name.as_str()];
        let http = http::client(connection.roots())?;
        Ok(Self(Arc::new(Inner {
            authority: Authority::of(connection, &http)?,
            http: http.as_reqwest().clone(),
            rest: under(connection.server_endpoint(), &rest),
            rest_audience: under(&audience, &rest),
            query: format!("{application}api-version={API_VERSION}"),
            client_url: with_query(under(connection.client_endpoint(), &["client", ""])),
            client_audience: with_query(under(&audience, &["client", ""])),
        })))
    }

    /// With an identity, begins to ask for what calls will need, and returns at once; the first call then need not wait for it.
    /// With a key there is nothing to do.
    ///
    /// # Panics
    ///
    /// With an identity, outside a tokio runtime. What was begun goes on in that runtime until the hub and its clones are dropped.
    pub fn warm_up(&self) {
        if let Authority::Identity(entra) = &self.0.authority {
            entra.warm_up();
        }
    }

    /// Access for one client, from `now` for one hour.
    ///
    /// With a key this never waits. With an identity it waits for ten seconds at most, and only while there has never been a key to
    /// sign with or the last has expired.
    ///
    /// # Errors
    ///
    /// When the claims make a token longer than the service takes; with an identity, when there is no key.
    pub async fn client_access(&self, client: &Client<'_>, now: SystemTime) -> Result<ClientAccess, Error> {
        let claims = Claims {
            user: client.user,
            extra: &client.claims,
            issued_at: now,
            lifetime: TOKEN_LIFETIME,
            audience: self.0.client_audience.as_str(),
        };
        let access_token = match &self.0.authority {
            Authority::Key(signer) => signer.sign(&claims),
            Authority::Identity(entra) => entra.signer(now, Instant::now() + DEADLINE).await?.sign(&claims),
        };
        if access_token.len() > MAX_CHARS {
            return Err(Kind::TokenTooLong.into());
        }
        Ok(ClientAccess { url: self.0.client_url.to_string(), access_token })
    }

    /// Sends `message` to `recipient`; `now` is when its token begins.
    ///
    /// The service has the message when this returns; what that took is in the answer. It is tried again, with growing waits, after failures that a later try may
    /// not meet and that cannot send it twice, or may if it is [repeatable](Message::repeatable); after ten seconds it gives up.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not answer in time, or refuses. The error, too, says what [tries](Error::tries) there
    /// were.
    pub async fn send(
        &self,
        recipient: Recipient<'_>,
        message: &Message,
        now: SystemTime,
    ) -> Result<Sent, Error> {
        let deadline = Instant::now() + DEADLINE;
        let (url, audience) = self.0.send_addresses(recipient);
        let token = self.0.authority.bearer(&audience, now, deadline).await?;
        let mut tries = Vec::with_capacity(1);
        loop {
            let begun = std::time::Instant::now();
            let attempt = tokio::time::timeout_at(deadline, self.0.post(&url, &token, message)).await;
            let attempt = attempt.unwrap_or_else(|_| Err(Kind::TimedOut.into()));
            tries.push(Try::of(recipient.route(), begun, &attempt));
            let Err(error) = attempt else { return Ok(Sent { tries }) };
            let made = u32::try_from(tries.len()).unwrap_or(u32::MAX);
            match retry::wait(&error.kind, message.repeatable, made, fastrand::f64()) {
                Some(wait) if Instant::now() + wait < deadline => tokio::time::sleep(wait).await,
                _ => return Err(error.after(tries)),
            }
        }
    }

    /// Where REST calls go: host and port. Neither is a secret.
    #[must_use]
    pub fn server(&self) -> (&str, u16) {
        let (host, port) = (self.0.rest.host_str(), self.0.rest.port_or_known_default());
        (host.unwrap_or_default(), port.unwrap_or_default())
    }
}

impl Authority {
    fn of(connection: &ConnectionString, http: &azure_http::HttpClient) -> Result<Self, Error> {
        match connection.credential() {
            Credential::AccessKey(key) => Ok(Self::Key(Signer::new(key.expose()))),
            Credential::Identity(identity) => {
                Entra::new(identity, connection.server_endpoint(), http).map(Self::Identity)
            }
        }
    }

    /// The token for a REST call: signed for its address, or the identity's own, which is for all of them.
    async fn bearer(&self, audience: &Url, now: SystemTime, deadline: Instant) -> Result<Secret, Error> {
        match self {
            Self::Key(signer) => Ok(Secret::new(signer.sign(&Claims {
                user: None,
                extra: &[],
                issued_at: now,
                lifetime: TOKEN_LIFETIME,
                audience: audience.as_str(),
            }))),
            Self::Identity(entra) => entra.token(now, deadline).await,
        }
    }

    /// What a refusal means depends on who was refused.
    fn refused(&self, kind: Kind) -> Kind {
        match self {
            Self::Key(_) => kind,
            Self::Identity(_) => kind.of_identity(),
        }
    }
}

impl Inner {
    fn send_addresses(&self, recipient: Recipient<'_>) -> (Url, Url) {
        let segments: &[&str] = match recipient {
            Recipient::Everyone => &[":send"],
            Recipient::User(user) => &["users", user.as_str(), ":send"],
        };
        let mut url = under(&self.rest, segments);
        url.set_query(Some(&self.query));
        (url, under(&self.rest_audience, segments))
    }

    /// The status of the answer, if it is a yes.
    async fn post(&self, url: &Url, token: &Secret, message: &Message) -> Result<u16, Error> {
        let request = self.http.post(url.clone()).bearer_auth(token.expose());
        let request =
            request.header("content-type", "application/json; charset=utf-8").body(message.body.clone());
        let response = request.send().await.map_err(Error::from_http)?;
        let response = accepted(response).map_err(|kind| self.authority.refused(kind))?;
        Ok(response.status().as_u16())
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
        let hub =
            Hub::new(&connection("Endpoint=http://localhost;Port=8888"), &"Chat".parse().unwrap()).unwrap();
        let user = "u1".parse().unwrap();
        let access = hub.client_access(&Client::user(&user), NOW).await.unwrap();
        assert_eq!(access.url, "http://localhost:8888/client/?hub=chat");
        let claims = claims(&access.access_token);
        assert_eq!(claims["aud"], "http://localhost/client/?hub=chat");
        assert_eq!(claims["asrs.s.uid"], "u1");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(), 3_600);
    }

    #[tokio::test]
    async fn case_7_an_application_goes_before_the_hub() {
        let (application, name) = ("App".parse().unwrap(), "Chat".parse().unwrap());
        let hub = Hub::in_application(&connection("Endpoint=https://h"), &application, &name).unwrap();
        let access = hub.client_access(&Client::anonymous(), NOW).await.unwrap();
        assert_eq!(access.url, "https://h/client/?hub=app_chat");
        assert_eq!(claims(&access.access_token)["aud"], "https://h/client/?hub=app_chat");
        let (url, _) = hub.0.send_addresses(Recipient::Everyone);
        assert_eq!(url.as_str(), "https://h/api/hubs/chat/:send?application=app&api-version=2022-06-01");
    }

    #[tokio::test]
    async fn case_8_extra_claims_travel_and_lists_stay_lists() {
        let hub = Hub::new(&connection("Endpoint=https://h"), &"chat".parse().unwrap()).unwrap();
        let client = Client::anonymous().claim("exp", "x").claim("role", "a").claim("role", "b");
        let claims = claims(&hub.client_access(&client, NOW).await.unwrap().access_token);
        assert_eq!(claims["asrs.u.exp"], "x");
        assert_eq!(claims["role"], serde_json::json!(["a", "b"]));
        assert_eq!(claims.get("asrs.s.uid"), None);
    }

    #[tokio::test]
    async fn a_gateway_keeps_its_path_and_the_audience_stays_the_services() {
        let connection =
            connection("Endpoint=https://h;ClientEndpoint=https://gw/p;ServerEndpoint=https://srv:444/q/");
        let hub = Hub::new(&connection, &"chat".parse().unwrap()).unwrap();
        let access = hub.client_access(&Client::anonymous(), NOW).await.unwrap();
        assert_eq!(access.url, "https://gw/p/client/?hub=chat");
        assert_eq!(claims(&access.access_token)["aud"], "https://h/client/?hub=chat");
        let (url, audience) = hub.0.send_addresses(Recipient::Everyone);
        assert_eq!(url.as_str(), "https://srv:444/q/api/hubs/chat/:send?api-version=2022-06-01");
        assert_eq!(audience.as_str(), "https://h/api/hubs/chat/:send");
    }

    #[test]
    fn a_user_id_is_one_segment_whatever_is_in_it() {
        let hub = Hub::new(&connection("Endpoint=https://h"), &"chat".parse().unwrap()).unwrap();
        for (user, segment) in
            [("a/b c", "a%2Fb%20c"), ("a?b#c%", "a%3Fb%23c%25"), ("...", "..."), ("ö", "%C3%B6")]
        {
            let user = user.parse().unwrap();
            let (url, _) = hub.0.send_addresses(Recipient::User(&user));
            assert_eq!(url.path(), format!("/api/hubs/chat/users/{segment}/:send"));
        }
    }

    #[tokio::test]
    async fn a_token_the_service_would_refuse_is_not_made() {
        let hub = Hub::new(&connection("Endpoint=https://h"), &"chat".parse().unwrap()).unwrap();
        let long =
            hub.client_access(&Client::anonymous().claim("a", "x".repeat(4_096)), NOW).await.unwrap_err();
        assert!(!long.is_retryable());
        let longest = "\"".repeat(UserId::MAX_BYTES).parse().unwrap();
        hub.client_access(&Client::user(&longest), NOW).await.unwrap();
    }

    #[tokio::test]
    async fn what_holds_a_key_or_a_token_does_not_print_it() {
        let hub = Hub::new(&connection("Endpoint=https://h"), &"chat".parse().unwrap()).unwrap();
        let access = hub.client_access(&Client::anonymous(), NOW).await.unwrap();
        assert!(!format!("{hub:?} {access:?}").contains(&access.access_token));
    }
}
