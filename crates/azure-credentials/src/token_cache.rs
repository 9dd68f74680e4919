//! The tokens of one identity for one service.
//!
//! Nothing is asked for before somebody wants a token, or says that somebody soon will: that takes a runtime, which has to stay.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tokio::time::{Instant, timeout_at};

use crate::credential::Credentials;
use crate::identity::Identity;
use crate::keeper::{Keeper, Missing};
use crate::no_token::{NoToken, Why};
use crate::secret::Secret;

/// A token, good for all that its identity may do. It cannot be printed, and clones are cheap.
#[derive(Clone, Debug)]
pub struct Token(Secret);

impl Token {
    pub(crate) fn new(text: &str) -> Self {
        Self(Secret::new(text))
    }

    /// The token itself, to go where it is for and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The tokens of an identity for one scope, each renewed ahead of its end. Clones share them.
///
/// It works in the runtime it was first used in, until the last clone is dropped.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    identity: Identity,
    scope: &'static str,
    http: reqwest::Client,
    keeper: OnceLock<Keeper<Token, NoToken>>,
}

impl Tokens {
    /// Those for `scope`, like `https://storage.azure.com/.default`, which are asked for over `http`. Nothing is asked for yet.
    ///
    /// The client should use no proxy and follow no redirect: the endpoints of managed identities are on the machine itself, and a
    /// secret goes there with the question.
    #[must_use]
    pub fn new(identity: &Identity, scope: &'static str, http: &reqwest::Client) -> Self {
        let (identity, http, keeper) = (identity.clone(), http.clone(), OnceLock::new());
        Self(Arc::new(Inner { identity, scope, http, keeper }))
    }

    /// Asks for the first token, unless that was done before, and returns at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn warm_up(&self) {
        self.keeper();
    }

    /// A token that is good at `now`. Waits only while there is none and the first answer is still to come, and not beyond `deadline`.
    ///
    /// # Errors
    ///
    /// When there is none.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn get(&self, now: SystemTime, deadline: Instant) -> Result<Token, NoToken> {
        let keeper = self.keeper();
        if let Some(token) = keeper.look(now) {
            return Ok(token);
        }
        match timeout_at(deadline, keeper.get(now)).await {
            Ok(Ok(token)) => Ok(token),
            Ok(Err(Missing::Failed { error, wait })) => Err(NoToken { retry_after: Some(wait), ..error }),
            Ok(Err(Missing::Ended)) => Err(self.without(Why::Failed)),
            Err(_late) => Err(self.without(Why::TimedOut)),
        }
    }

    /// A token that is good by `clock`, for whoever has time: waits through failures.
    ///
    /// # Errors
    ///
    /// When nobody asks any more, since the runtime has ended.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn wait(&self, clock: fn() -> SystemTime) -> Result<Token, NoToken> {
        self.keeper().wait(clock).await.ok_or_else(|| self.without(Why::Failed))
    }

    fn keeper(&self) -> &Keeper<Token, NoToken> {
        let Inner { identity, scope, http, keeper } = &*self.0;
        keeper.get_or_init(|| Keeper::start(Credentials::new(identity, scope, http), SystemTime::now))
    }

    fn without(&self, why: Why) -> NoToken {
        NoToken::new(self.0.identity.issuer(), why)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { identity, scope, .. } = &*self.0;
        f.debug_struct("Tokens").field("identity", identity).field("scope", scope).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http() -> reqwest::ClientBuilder {
        // Only the first test of a process has to.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
    }

    #[test]
    fn neither_a_token_nor_what_asks_for_it_prints_a_secret() {
        let identity = Identity::application("c", "t", "hush").unwrap();
        let tokens = Tokens::new(&identity, "https://h/.default", &http().no_proxy().build().unwrap());
        assert!(!format!("{tokens:?} {:?}", Token::new("hush")).contains("hush"));
    }

    #[tokio::test]
    async fn whoever_waits_in_vain_is_told_who_did_not_answer() {
        // A listener that is never asked to accept: callers connect and hear nothing.
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let proxy = format!("http://{}", silent.local_addr().unwrap());
        let http = http().proxy(reqwest::Proxy::all(proxy).unwrap()).build().unwrap();
        let tokens = Tokens::new(&Identity::managed(None).unwrap(), "https://h/.default", &http);
        let late = tokens.get(SystemTime::now(), Instant::now()).await.unwrap_err();
        assert_eq!((late.why(), late.is_retryable(), late.retry_after()), (&Why::TimedOut, true, None));
        assert!(late.to_string().starts_with("the managed identity endpoint did not answer in time"));
    }
}
