//! What the service believes a call by: a signature, or the token of an identity.
//!
//! It is put in last. What is signed is read off the request that is about to be sent, so nothing may be changed after it.

use jiff::Timestamp;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HOST, HeaderValue};
use tokio::time::{Instant, timeout_at};

use crate::access_key::AccessKey;
use crate::endpoint::{host, target};
use crate::entra::{AnySource, EntraToken, NoToken};
use crate::error::Error;
use crate::signature::{Signature, Unsigned};

/// What calls are made with.
pub(crate) enum Authority {
    Key(AccessKey),
    Tokens(Box<dyn AnySource>),
}

impl Authority {
    /// Makes `request` one that the service believes if it gets it at about `now`.
    pub(crate) async fn vouch_for(
        &self,
        request: &mut Request,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(), Error> {
        match self {
            Self::Key(key) => sign(request, key, now),
            Self::Tokens(source) => {
                let token = timeout_at(deadline, source.token(now)).await;
                let token = token.unwrap_or_else(|late| Err(NoToken::for_now(late, None)));
                show(request, &token.map_err(Error::no_token)?);
            }
        }
        Ok(())
    }
}

fn sign(request: &mut Request, key: &AccessKey, now: Timestamp) {
    let unsigned = Unsigned {
        method: request.method().as_str(),
        target: target(request.url()),
        host: host(request.url()),
        body: request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default(),
    };
    let signature = Signature::new(key, &unsigned, now);
    let host = header(unsigned.host);
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert("x-ms-date", header(&signature.date));
    headers.insert("x-ms-content-sha256", header(&signature.content_hash));
    headers.insert(AUTHORIZATION, secret(&signature.authorization));
}

fn show(request: &mut Request, token: &EntraToken) {
    let value = ["Bearer ", token.expose()].concat();
    request.headers_mut().insert(AUTHORIZATION, secret(&value));
}

fn header(value: &str) -> HeaderValue {
    HeaderValue::try_from(value).expect("hosts of addresses, dates, base64 and tokens are visible ASCII")
}

/// The same, not to be shown by whatever logs headers.
fn secret(value: &str) -> HeaderValue {
    let mut value = header(value);
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Call;
    use crate::connection_string::ConnectionString;
    use crate::grant::{Grant, Lifetime, Scope};

    const CONNECTION: &str = "endpoint=https://contoso-test.communication.azure.com/;accesskey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const USER: &str = "8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081";

    #[tokio::test]
    async fn case_1_the_clients_own_requests_are_the_vectors_a_b_and_c() {
        let connection: ConnectionString = CONNECTION.parse().unwrap();
        let (endpoint, user) = (connection.endpoint(), USER.parse().unwrap());
        let authority = Authority::Key(connection.key().clone());
        let hour_of_calls = Grant::from(Scope::VOIP).lasting(Lifetime::SHORTEST);
        for (call, signature) in [
            (
                Call::create(endpoint, Some(&Scope::CHAT.into())),
                "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs=",
            ),
            (Call::issue(endpoint, &user, &hour_of_calls), "YUEsjRaF9Xg0ALxkOz4iUho3+tg3G+ykmipBBIjBdQA="),
            (Call::delete(endpoint, &user), "eGXPFW+I7SDSmjXYgYWPGlnSCrnWRsrZMKueCKYrxAk="),
        ] {
            let mut request = call.request();
            let now = Timestamp::from_second(1_697_643_256).unwrap();
            authority.vouch_for(&mut request, now, Instant::now()).await.unwrap();
            let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
            assert_eq!(authorization.split_once("&Signature=").unwrap().1, signature);
            assert_eq!(request.headers()[HOST], "contoso-test.communication.azure.com");
            assert!(!format!("{request:?}").contains(signature));
        }
    }
}
