//! Cases 78, 80 and 104: the settings of the upstream, as the official emulator reads them.
//!
//! <https://learn.microsoft.com/azure/azure-signalr/signalr-howto-emulator#configure-upstream-endpoints>

use serde_json::json;

use super::upstream::{completion_error, record_events};
use crate::case_result::{CaseResult, Failure, expect_eq};
use crate::client::Client;
use crate::service::with_timeout;
use crate::test_context::TestContext;

pub(super) async fn templates(context: TestContext) -> CaseResult {
    let webhooks = context.webhooks()?;
    let template = |prefix: &str, events: &str| {
        json!({
            "UrlTemplate": webhooks.url(&format!("/{prefix}/{{hub}}/{{category}}/{{event}}")),
            "HubPattern": context.hub, "CategoryPattern": "*", "EventPattern": events,
        })
    };
    let templates = [template("first", "connected, disconnected"), template("second", "*"), template("third", "*")];
    let written = webhooks.write_templates(&templates)?;
    let mut client = connect_when_posted_to(&context, "/first/").await?;
    record_events(&context)?;
    client.invoke(None, "a/b ü", json!([])).await?;
    client.close().await?;
    let paths: Vec<String> = context.webhook_events(2).await?.into_iter().map(|event| event.path).collect();
    let hub = &context.hub;
    let expected =
        vec![format!("/second/{hub}/messages/a%2Fb%20%C3%BC"), format!("/first/{hub}/connections/disconnected")];
    expect_eq("the paths", expected, paths)?;

    drop(written);
    connect_when_posted_to(&context, &format!("/{hub}/")).await.map(drop)
}

/// Connects clients until a `connected` event has a path prefix: until the service has read its new settings.
async fn connect_when_posted_to(context: &TestContext, prefix: &str) -> CaseResult<Client> {
    let timeout = context.service().timeout;
    let read = async {
        loop {
            record_events(context)?;
            let client = context.connect(&context.user).await?;
            let events = context.webhook_events(1).await?;
            if events[0].path.starts_with(prefix) {
                return Ok(client);
            }
            context.close_client(client).await?;
            context.webhook_events(2).await?;
        }
    };
    with_timeout(timeout, &format!("events at {prefix} after the settings changed"), read).await
}

/// The settings are read by the JSON configuration provider of .NET, which skips comments and allows trailing commas.
///
/// <https://learn.microsoft.com/dotnet/core/extensions/configuration-providers#json-configuration-provider>
pub(super) async fn comments(context: TestContext) -> CaseResult {
    let webhooks = context.webhooks()?;
    let url = webhooks.url("/comments/{hub}/{category}/{event}");
    let settings = format!(
        r#"// The settings of the emulator.
{{
  "UpstreamSettings": {{
    /* The first template
       that matches is used. */
    "Templates": [
      {{
        "UrlTemplate": "{url}", // a URL has two slashes as well
        "HubPattern": "{hub}",
        "CategoryPattern": "*",
        "EventPattern": "/* no comment */, connected, disconnected",
      }},
    ],
  }},
}}
"#,
        hub = context.hub,
    );
    let _written = webhooks.write_settings(&settings)?;
    let client = connect_when_posted_to(&context, "/comments/").await?;
    client.close().await
}

pub(super) async fn without_upstream(context: TestContext) -> CaseResult {
    let Some(webhooks) = &context.env.webhooks else { return expect_invocation_error(&context).await };
    if !webhooks.can_write_settings() {
        return Err(Failure::needs("--upstream-settings, or a service without an upstream and no --upstream-port"));
    }
    let _written = webhooks.write_settings(r#"{"UpstreamSettings":{"Templates":[]}}"#)?;
    expect_invocation_error(&context).await
}

/// Invokes until a Completion has an error, since the service may read its new settings with a delay.
async fn expect_invocation_error(context: &TestContext) -> CaseResult {
    let mut client = context.connect(&context.user).await?;
    let invoking = async {
        for id in 1.. {
            let id = id.to_string();
            client.invoke(Some(&id), "Method", json!([])).await?;
            if !completion_error(&client.expect_completion(&id).await?).is_empty() {
                return Ok(());
            }
        }
        Ok(())
    };
    with_timeout(context.service().timeout, "a Completion with an error", invoking).await
}
