//! Access tokens that callers bring themselves, on the local stack.

use serde_json::Value;
use test_support::entra::Entra;
use test_support::http::claims;

use crate::test_stack::{ANYWHERE, Stack};

const NEGOTIATE: &str = "/api/negotiate";

#[tokio::test]
async fn the_local_stack_takes_them_too_where_they_are_configured() {
    let entra = Entra::start().await;
    let stack = Stack::with(&ANYWHERE, &entra.settings());
    let ask = |token: &str| stack.post_as(None, NEGOTIATE).bearer_auth(token);
    assert_eq!(name(ask(&entra.token("ann"))).await.unwrap(), "ann@contoso.com");
    assert_eq!(ask("x").send().await.unwrap().status(), 401);
    let bob = stack.sign_in("bob").await;
    assert_eq!(name(stack.post_as(Some(&bob), NEGOTIATE)).await.unwrap(), "bob");
}

/// The user id in the access token that a negotiation returns.
async fn name(request: reqwest::RequestBuilder) -> Option<String> {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    claims(body["accessToken"].as_str().unwrap())["asrs.s.uid"].as_str().map(str::to_owned)
}
