//! Tokens for clients, made here for callers who ask for them.
//!
//! They are checked like anybody's: nothing marks them as our own.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use url::Url;

use crate::AccessKey;
use crate::hub::UserId;
use crate::hub_name::HubName;

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    #[serde(rename = "asrs.s.uid", skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// A token with which a client may connect to the hub, from `now`, in seconds since 1970.
pub(crate) fn client_token(
    key: &AccessKey,
    hub: &HubName,
    user: Option<&UserId>,
    now: u64,
    lifetime: Duration,
) -> String {
    let mut aud: Url = "http://localhost/client/".parse().expect("a constant that is a URL");
    aud.query_pairs_mut().append_pair("hub", hub.as_str());
    let user = user.map(UserId::as_str);
    let claims = Claims { aud: aud.as_str(), user, iat: now, nbf: now, exp: now + lifetime.as_secs() };
    let key = EncodingKey::from_secret(key.as_str().as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key)
        .expect("the key is one for HS256, the default, and claims of texts and numbers always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Auth;

    const NOW: u64 = 1_700_000_000;
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_token_is_accepted_for_its_hub_and_its_time() {
        let key = AccessKey::generate();
        let auth = Auth::new(std::slice::from_ref(&key), &[], Duration::ZERO);
        // The one name that a query has to escape.
        let hub = HubName::of_client("a`b,[c]").unwrap();
        let ann = UserId::new("ann");
        let token = client_token(&key, &hub, ann.as_ref(), NOW, MINUTE);
        assert_eq!(auth.client(Some(&token), &hub, NOW + 60).unwrap().user, ann);
        assert!(auth.client(Some(&token), &hub, NOW + 61).is_err());
        assert!(auth.client(Some(&token), &HubName::of_client("other").unwrap(), NOW).is_err());
        let anonymous = client_token(&key, &hub, None, NOW, MINUTE);
        assert_eq!(auth.client(Some(&anonymous), &hub, NOW).unwrap().user, None);
    }
}
