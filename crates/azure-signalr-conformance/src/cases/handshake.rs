//! Cases 25 to 27, 94 and 95: the handshake.
//!
//! <https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md#overview>

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::websocket::next_frame;
use crate::case_result::{AtStep, CaseResult, Failure, expect, expect_eq};
use crate::client::{Client, with_separator};
use crate::test_context::TestContext;
use crate::websocket::Frame;

/// The `HandshakeTimeout` of the service.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// The error for a request that cannot be read. A service with detailed errors continues it with the reason.
const UNEXPECTED_ERROR: &str = "An unexpected error occurred during connection handshake.";

pub(super) async fn versions(context: TestContext) -> CaseResult {
    for version in [0, 2] {
        let mut client = context.client().open().await?;
        client.handshake(version).await.at(format_args!("version {version}"))?;
    }
    expect_handshake_error(&context, "json", 99, "The server does not support version 99 of the 'json' protocol.").await
}

pub(super) async fn unknown_protocol(context: TestContext) -> CaseResult {
    expect_handshake_error(&context, "blazorpack", 1, "The protocol 'blazorpack' is not supported.").await
}

async fn expect_handshake_error(context: &TestContext, protocol: &str, version: u32, error: &str) -> CaseResult {
    let mut client = context.client().open().await?;
    client.send_handshake(protocol, version).await?;
    expect_eq("the handshake response", json!({"error": error}), client.handshake_response().await?)?;
    client.expect_end().await
}

pub(super) async fn timeout(context: TestContext) -> CaseResult {
    let short = Duration::from_secs(2);
    let with_claim = context.client().claim("asrs.s.cht", json!("2")).open();
    let (default, with_claim) = tokio::try_join!(context.client().open(), with_claim)?;
    tokio::try_join!(
        expect_canceled(&context, default, HANDSHAKE_TIMEOUT),
        expect_canceled(&context, with_claim, short),
    )
    .map(drop)
}

/// Expects that the service ends a connection without a handshake after a time.
async fn expect_canceled(context: &TestContext, mut client: Client, after: Duration) -> CaseResult {
    let start = Instant::now();
    let time_limit = after + context.service().timeout;
    match next_frame(&mut client, "the end of a connection without a handshake", time_limit).await? {
        Frame::Text(actual) => {
            let expected = with_separator(r#"{"error":"Handshake was canceled."}"#);
            expect_eq("the last message", expected, actual)?;
        }
        Frame::Close(_) | Frame::End => {}
        other => return Err(Failure::new("`Handshake was canceled.`, or the end", format!("{other:?}"))),
    }
    let early = start.elapsed() + Duration::from_secs(1) < after;
    expect(!early, format_args!("{after:?} for the handshake"), format_args!("{:?}", start.elapsed()))?;
    client.expect_end().await
}

/// `HandshakeProtocol` and `HubConnectionContext` of ASP.NET Core.
///
/// <https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/common/SignalR.Common/src/Protocol/HandshakeProtocol.cs>
pub(super) async fn malformed(context: TestContext) -> CaseResult {
    for request in [
        r#"{"protocol":"json"}"#,
        r#"{"version":1}"#,
        "{}",
        r#"{"protocol":"json","version":"1"}"#,
        r#"{"protocol":"json","version":1.5}"#,
        r#"{"protocol":1,"version":1}"#,
        r#"{"protocol":"json","version":1"#,
        r#"["json",1]"#,
        "null",
        r#""{\"protocol\":\"json\",\"version\":1}""#,
        "json",
        "",
    ] {
        let mut client = context.client().open().await?;
        client.socket()?.send_text(&with_separator(request)).await?;
        let response = client.handshake_response().await.at(request)?;
        let error = response["error"].as_str().unwrap_or_default();
        expect(error.starts_with(UNEXPECTED_ERROR), UNEXPECTED_ERROR, &response).at(request)?;
        client.expect_end().await.at(request)?;
    }
    // Without its separator a request is not complete.
    for request in ["{\"protocol\":\"json\",\"version\":1}", "{\"protocol\":\"json\",\"version\":1}\n"] {
        let mut client = context.client().claim("asrs.s.cht", json!("1")).open().await?;
        client.socket()?.send_text(request).await?;
        expect_canceled(&context, client, Duration::from_secs(1)).await.at(format_args!("{request:?}"))?;
    }
    Ok(())
}

/// Names of hub protocols are compared as `DefaultHubProtocolResolver` of ASP.NET Core does, ignoring letter case.
///
/// <https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/server/Core/src/Internal/DefaultHubProtocolResolver.cs>
pub(super) async fn letter_case(context: TestContext) -> CaseResult {
    for protocol in ["JSON", "Json", "MessagePack", "MESSAGEPACK"] {
        let mut client = context.client().open().await?;
        client.send_handshake(protocol, 1).await?;
        expect_eq("the handshake response", json!({}), client.handshake_response().await?).at(protocol)?;
    }
    Ok(())
}
