//! Cases 97 to 100 and 110: HTTP, as ASP.NET Core and the limits of the service have it.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::time::sleep;
use url::Url;

use crate::case_result::{AtStep, CaseResult, Failure, expect};
use crate::client::Client;
use crate::credentials::{HEADER, Token};
use crate::service::{Response, with_timeout};
use crate::test_context::TestContext;
use crate::websocket::{self, Upgrade};

/// The maximum length of an access token, in characters.
const MAX_TOKEN_CHARS: usize = 4096;

/// The longest time that a client may have to wait because of other clients that negotiated and did not connect.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Fixed segments of paths match in any letter case; hubs do too, users and groups do not.
///
/// <https://learn.microsoft.com/aspnet/core/fundamentals/routing#url-matching>
pub(super) async fn letter_case(context: TestContext) -> CaseResult {
    let service = context.service();
    let client_url = |path: &str, query: &[(&str, &str)]| -> Url {
        let mut url = service.client_url(&[], query);
        let prefix = url.path().trim_end_matches("client/").to_owned();
        url.set_path(&(prefix + path));
        url
    };
    let builder = context.client().user(&context.user);
    let token = builder.token();
    let query = [("hub", context.hub.as_str()), ("negotiateVersion", "1")];
    for path in ["CLIENT/negotiate", "Client/Negotiate", "client/NEGOTIATE/"] {
        let call = service.call_url(Method::POST, client_url(path, &query)).token(&token);
        call.expect_status(200).await.at(path)?;
    }
    for path in ["Client/", "CLIENT"] {
        let url = client_url(path, &query[..1]);
        let socket = websocket::open_url(service, &url, Some(&token), None).await.at(path)?.into_socket().at(path)?;
        Client::from_socket(socket, service, &context.hub, token.clone()).handshake(1).await.at(path)?;
    }

    let mut client = builder.connect().await?;
    let (hub, user, group) = (context.hub.as_str(), context.user.as_str(), context.group.as_str());
    let call = |method, segments: &[&str]| context.rest_path(method, segments);
    let join = ["API", "Hubs", hub, "GROUPS", group, "Connections", &client.id.clone()];
    call(Method::PUT, &join).expect_status(200).await.at("add to a group")?;
    for (number, segments) in [
        &["API", "hubs", hub, ":Send"][..],
        &["api", "HUBS", hub, "Users", user, ":SEND"],
        &["Api", "Hubs", hub, "Groups", group, ":send"],
    ]
    .into_iter()
    .enumerate()
    {
        let send = call(Method::POST, segments).message("t", &json!([number]));
        send.expect_status(202).await.at(segments.join("/"))?;
    }
    client.expect_invocations(&[0, 1, 2].map(|number| ("t", json!([number])))).await?;
    let other_user = ["api", "hubs", hub, "users", &user.to_uppercase()];
    call(Method::HEAD, &other_user).expect_status(404).await.at("a user in another letter case").map(drop)
}

/// The input formatter of ASP.NET Core reads UTF-8 and UTF-16 as the charset says, and skips a byte-order mark.
///
/// <https://learn.microsoft.com/dotnet/api/microsoft.aspnetcore.mvc.formatters.textinputformatter.supportedencodings>
pub(super) async fn encodings(context: TestContext) -> CaseResult {
    let mut client = context.connect(&context.user).await?;
    let text = json!({"target": "t", "arguments": ["Zoë 🎈 日本"]}).to_string();
    let marked = format!("\u{feff}{text}");
    let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for (content_type, body) in [
        ("application/json", marked.clone().into_bytes()),
        ("application/json; charset=utf-8", marked.clone().into_bytes()),
        ("application/json; charset=UTF-16", utf_16(&text)),
        ("application/json;charset=\"utf-16\"", utf_16(&marked)),
    ] {
        let send = context.rest(Method::POST, &[":send"]).body(content_type, body);
        send.expect_status(202).await.at(content_type)?;
        client.expect_invocations(&[("t", json!(["Zoë 🎈 日本"]))]).await.at(content_type)?;
    }
    Ok(())
}

/// <https://learn.microsoft.com/azure/azure-signalr/signalr-howto-troubleshoot-guide#access-token-too-long>
pub(super) async fn token_length(context: TestContext) -> CaseResult {
    let service = context.service();
    let audience = service.client_audience(&context.hub);
    let longest = token_of_length(&context, &audience, MAX_TOKEN_CHARS);
    let too_long = token_of_length(&context, &audience, MAX_TOKEN_CHARS + 1);
    let query = [("hub", context.hub.as_str())];
    let upgrade = async |token: &Token| {
        let query = [query[0], ("access_token", token.0.as_str())];
        websocket::open(service, &query, None, None).await
    };
    service.negotiate(&query, &longest).expect_status(200).await.at("negotiate with the longest token")?;
    upgrade(&longest).await?.into_socket().at("the longest token in the query")?;

    expect_too_long(&service.negotiate(&query, &too_long).response().await?).at("negotiate")?;
    match upgrade(&too_long).await? {
        Upgrade::Accepted(_) => return Err(Failure::new("413 or 414 for a token in the query", "101, a WebSocket")),
        Upgrade::Rejected(response) => expect_too_long(&response).at("a token in the query")?,
    }
    let call = || context.rest(Method::HEAD, &["users", &context.user]);
    let audience = format!("{}{}", service.connection.audience_base(), call().path().trim_start_matches('/'));
    let longest = token_of_length(&context, &audience, MAX_TOKEN_CHARS);
    call().token(&longest).expect_status(404).await.at("a REST call with the longest token")?;
    let too_long = token_of_length(&context, &audience, MAX_TOKEN_CHARS + 1);
    expect_too_long(&call().token(&too_long).response().await?).at("a REST call")
}

/// A valid token of a length for which there is one.
fn token_of_length(context: &TestContext, audience: &str, length: usize) -> Token {
    let sign = |padding: usize| {
        let claims = json!({"aud": audience, "exp": u32::MAX, "padding": "x".repeat(padding)});
        context.service().key.sign(HEADER, &claims.to_string())
    };
    // Three characters become four.
    let missing = length - sign(0).0.len();
    (missing / 2..=missing).map(sign).find(|token| token.0.len() >= length).unwrap_or_else(|| sign(missing))
}

fn expect_too_long(response: &Response) -> CaseResult {
    let is_too_long = matches!(response.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::URI_TOO_LONG);
    expect(is_too_long, "413 or 414 for a token that is too long", response.status)
}

/// <https://learn.microsoft.com/azure/azure-signalr/signalr-howto-troubleshoot-guide#429-too-many-requests>
pub(super) async fn connection_limit(context: TestContext) -> CaseResult {
    let limit = context.env.max_connections.ok_or_else(|| Failure::needs("--max-connections"))?;
    // Clients that negotiate and do not connect may not keep others out.
    for _ in 0..limit {
        let negotiation = context.service().negotiate(&[("hub", &context.hub)], &context.client().token());
        if retry_after(&negotiation.response().await?)?.is_some() {
            break;
        }
    }
    let mut clients = Vec::new();
    for number in 0..limit {
        clients.push(connect_when_told(&context).await.at(format_args!("connection {} of {limit}", number + 1))?);
    }
    let rejected = open_without_id(&context).await?.expect_status(429).at("one more connection")?;
    retry_after(&rejected)?;
    drop(clients.pop());
    let again = async {
        while let Upgrade::Rejected(response) = open_without_id(&context).await? {
            let wait = retry_after(&response)?.ok_or_else(|| Failure::new("101 or 429", response.status))?;
            sleep(wait).await;
        }
        Ok(())
    };
    with_timeout(context.service().timeout, "a place after a client has left", again).await
}

async fn open_without_id(context: &TestContext) -> CaseResult<Upgrade> {
    let token = context.service().client_token(&context.hub);
    websocket::open(context.service(), &[("hub", &context.hub)], Some(&token), None).await
}

/// Opens a WebSocket; after a 429 again, when its `Retry-After` says.
async fn connect_when_told(context: &TestContext) -> CaseResult<websocket::WebSocket> {
    let connecting = async {
        loop {
            match open_without_id(context).await? {
                Upgrade::Accepted(socket) => return Ok(socket),
                Upgrade::Rejected(response) => match retry_after(&response)? {
                    Some(wait) => sleep(wait).await,
                    None => return Err(Failure::new("101 or 429", response.status)),
                },
            }
        }
    };
    with_timeout(context.service().timeout, "a connection", connecting).await
}

/// The time in `Retry-After` of a 429, which must be short; `None` for another status.
fn retry_after(response: &Response) -> CaseResult<Option<Duration>> {
    if response.status != StatusCode::TOO_MANY_REQUESTS {
        return Ok(None);
    }
    let value = response.header(RETRY_AFTER.as_str()).unwrap_or("none");
    let wait = value.parse().ok().map(Duration::from_secs).filter(|wait| *wait <= MAX_RETRY_AFTER);
    let expected = format!("429 with Retry-After of at most {} s", MAX_RETRY_AFTER.as_secs());
    wait.map(Some).ok_or_else(|| Failure::new(expected, value))
}

/// The emulator of this repository has no connections of app servers and no clients of ASP.NET SignalR.
///
/// Documented in its README, "Not supported".
pub(super) async fn persistent_mode(context: TestContext) -> CaseResult {
    context.require_emulator().await?;
    for path in [
        "server", "server/", "server/negotiate", "aspnetserver", "aspnetserver/", "aspnetserver/negotiate",
        "aspnetclient", "aspnetclient/", "aspnetclient/negotiate", "aspnetclient/connect", "Server/",
    ] {
        for method in [Method::GET, Method::POST] {
            let call = context.service().call(method.clone(), &path.split('/').collect::<Vec<_>>());
            let response = call.query("hub", &context.hub).expect_status(501).await.at(path).at(&method)?;
            let text = response.text();
            expect(text.contains(' '), "a sentence that says what is missing", text).at(path).at(method)?;
        }
    }
    Ok(())
}
