//! Who may come in: a holder of an access key, or, where that is set up, an identity.
//!
//! Nothing a request says is believed, or answered beyond what is wrong with its credential, before it has passed here.

mod bearer;
mod hmac;

use std::fmt;

use axum::http::{HeaderMap, Request, StatusCode, header};

pub use bearer::EntraOptions;

use crate::keys::{Generation, Keys};
use crate::refusal::Refusal;

/// How much of what a request says an answer repeats, in characters.
const QUOTED: usize = 100;

/// What requests are checked against, besides the keys.
pub(crate) struct Auth {
    skew: u64,
    identities: Option<bearer::Identities>,
}

impl Auth {
    /// `skew`, in seconds, is how far the date of a request may be off.
    pub(crate) fn new(skew: u64, entra: Option<EntraOptions>) -> Self {
        Self { skew, identities: entra.map(bearer::Identities::new) }
    }

    /// Admits a caller, and says under what it is issued tokens. `now` is in seconds since 1970.
    pub(crate) fn admit(
        &self,
        request: &Request<Vec<u8>>,
        keys: &Keys,
        now: u64,
    ) -> Result<Generation, Denied> {
        let credential = header_once(request.headers(), header::AUTHORIZATION.as_str())?;
        let (scheme, parameters) = credential.split_once(' ').unwrap_or((credential, ""));
        match &self.identities {
            Some(identities) if scheme.eq_ignore_ascii_case("bearer") => {
                identities.admit(parameters.trim(), now).map(|()| Generation::IDENTITY)
            }
            _ if scheme.eq_ignore_ascii_case(hmac::SCHEME) => {
                hmac::verify(parameters, request, keys, now, self.skew)
            }
            _ => Err(Denied::new("scheme", self.schemes(), "another scheme")),
        }
    }

    fn schemes(&self) -> &'static str {
        match self.identities {
            Some(_) => "`Authorization: HMAC-SHA256 …` or `Authorization: Bearer …`",
            None => "`Authorization: HMAC-SHA256 …`",
        }
    }
}

/// The value of a header that has to be there, once.
fn header_once<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Denied> {
    let mut values = headers.get_all(name).iter();
    let expected = || format!("the header {}, once", quoted(name));
    match (values.next(), values.next()) {
        (Some(value), None) => {
            value.to_str().map_err(|_| Denied::new("headers", expected(), "a value that is no ASCII text"))
        }
        (None, _) => Err(Denied::new("headers", expected(), "a request without it")),
        (Some(_), Some(_)) => Err(Denied::new("headers", expected(), "several of them")),
    }
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED).collect();
    format!("{short:?}")
}

/// A caller that was refused: by which rule, what that rule expected, and what came. Carries no key, token or signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    rule: &'static str,
    expected: String,
    came: String,
    /// The credential is right, and its bearer may not do this.
    forbidden: bool,
    /// The service's own sentence for this, where it is known.
    published: Option<&'static str>,
    /// What the signature should have been over; it quotes the request.
    signed: Option<String>,
}

impl Denied {
    fn new(rule: &'static str, expected: impl Into<String>, came: impl Into<String>) -> Self {
        let (expected, came) = (expected.into(), came.into());
        Self { rule, expected, came, forbidden: false, published: None, signed: None }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, expected, came, .. } = self;
        write!(f, "request refused, rule `{rule}`: expected {expected}; came {came}")
    }
}

/// The service says `Denied` whatever was wrong; only one of its sentences has been published.
impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let why = denied.to_string();
        let status = if denied.forbidden { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        match (denied.published, denied.signed) {
            (Some(published), _) => Self::new(status, "Denied", published).logged(why.as_str()).detail(why),
            (None, Some(signed)) => {
                let detail = format!("What must be signed for the request that came: {signed:?}");
                Self::new(status, "Denied", why).detail(detail)
            }
            (None, None) => Self::new(status, "Denied", why),
        }
    }
}
