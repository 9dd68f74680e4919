//! Cases 77 and 101 to 103: the upstream event `disconnected`.
//!
//! Its error tells a connection that broke from one that its client has ended.
//! <https://learn.microsoft.com/azure/azure-signalr/concept-upstream#disconnected-event>

use reqwest::Method;
use serde_json::{Value, json};

use super::upstream::{category_and_name, json_body, property, record_events};
use crate::case_result::{AtStep, CaseResult, expect, expect_eq};
use crate::client::{Client, ClientBuilder};
use crate::test_context::TestContext;
use crate::transport::TransportType;

pub(super) async fn once(context: TestContext) -> CaseResult {
    let clean = disconnected_event(&context, context.client(), async |client| client.close().await).await?;
    expect_no_error(&clean)?;
    let broken = disconnected_event(&context, context.client(), async |client| {
        client.abort();
        Ok(())
    });
    let broken = broken.await?;
    let has_error = property(&broken, "error").is_some_and(Value::is_string);
    expect(has_error, "an error for a broken connection", &broken)
}

/// The client sends no Close message of the hub protocol.
pub(super) async fn close_frame(context: TestContext) -> CaseResult {
    for code in [1000, 1001] {
        let body = disconnected_event(&context, context.client(), async |mut client| {
            client.socket()?.close(Some(code)).await?;
            client.expect_end().await
        });
        expect_no_error(&body.await.at(code)?).at(code)?;
    }
    Ok(())
}

/// An event stream has no other end: `EventSource.close` ends the request.
///
/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#dom-eventsource-close>
pub(super) async fn event_stream(context: TestContext) -> CaseResult {
    let builder = context.client().transport(TransportType::ServerSentEvents);
    let body = disconnected_event(&context, builder, async |client| {
        client.abort();
        Ok(())
    });
    expect_no_error(&body.await?)
}

/// Repeated, since a service learns of the DELETE and of the end of the last poll at the same time.
///
/// <https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/TransportProtocols.md#long-polling-server-to-client-only>
pub(super) async fn delete(context: TestContext) -> CaseResult {
    for _ in 0..5 {
        let builder = context.client().transport(TransportType::LongPolling);
        let body = disconnected_event(&context, builder, async |client| {
            client.transport_call(Method::DELETE).expect_status(202).await.map(drop)
        });
        expect_no_error(&body.await?)?;
    }
    Ok(())
}

fn expect_no_error(body: &Value) -> CaseResult {
    expect_eq("the error of a connection that its client has ended", None, property(body, "error"))
}

/// The body of the only `disconnected` event after a client is disconnected by the function.
async fn disconnected_event(
    context: &TestContext,
    client: ClientBuilder,
    disconnect: impl AsyncFnOnce(Client) -> CaseResult,
) -> CaseResult<Value> {
    record_events(context)?;
    let client = client.user(&context.user).connect().await?;
    let id = client.id.clone();
    disconnect(client).await?;
    let events = context.webhook_events(2).await?;
    expect_eq("the second event", "connections disconnected", &category_and_name(&events[1]))?;
    let body = json_body(&events[1])?;
    expect_eq("the type", Some(&json!(11)), property(&body, "type"))?;
    // A second `disconnected` event would arrive before the `connected` event of another client.
    let next = context.connect(&context.user).await?;
    let events = context.webhook_events(3).await?;
    let disconnected = events.iter().filter(|event| {
        event.header("x-asrs-connection-id") == Some(&id) && category_and_name(event) == "connections disconnected"
    });
    expect_eq("the number of `disconnected` events", 1, disconnected.count())?;
    next.close().await?;
    context.webhook_events(4).await?;
    Ok(body)
}
