//! Tests of settings files: what is read, what is an error, and what is a warning.

use super::*;

fn parse(settings: &str) -> Result<Templates, String> {
    settings.parse().map_err(|error: crate::InvalidTemplates| error.to_string())
}

/// The settings of one template with these patterns.
fn with_patterns(patterns: serde_json::Value) -> String {
    let mut template = json!({"UrlTemplate": "http://h/"});
    let serde_json::Value::Object(patterns) = patterns else { panic!("an object") };
    template.as_object_mut().unwrap().extend(patterns);
    json!({"UpstreamSettings": {"Templates": [template]}}).to_string()
}

#[test]
fn files_of_every_form_are_read() {
    for (count, settings) in [
        (1, r#"{"UpstreamSettings": {"Templates": [{"UrlTemplate": "http://h/"}]}}"#),
        (
            1,
            "\u{feff}// local\r\n{\"upstreamSettings\": {\"TEMPLATES\": [{\"urltemplate\": \"http://h//x\" /* // */ , } , ] , } , }",
        ),
        (
            2,
            r#"{"UpstreamSettings": {"Templates": [{"UrlTemplate": "http://h/"}, /* first */ {"UrlTemplate": "http://i/"},],},}"#,
        ),
        (1, r#"{"UpstreamSettings": {"A": 1}, "upstreamsettings": {"Templates": [{"UrlTemplate": "http://h/"}]}}"#),
        (
            1,
            r#"{"upstream": {"templates": [{"urlTemplate": "http://h/", "hubPattern": "chat", "auth": {"type": "None"}}]}}"#,
        ),
        (
            1,
            r#"{"type": "Microsoft.SignalRService/signalR", "properties": {"features": [{"flag": "ServiceMode", "value": "Serverless"}],
                "upstream": {"templates": [{"urlTemplate": "https://h/{hub}/api/{category}/{event}", "hubPattern": "*",
                "eventPattern": "connected,disconnected", "categoryPattern": "connections", "auth": null}]}}}"#,
        ),
        (0, r#"{"properties": {"upstream": null}, "UpstreamSettings": {}}"#),
        (0, r#"{"Logging": {"LogLevel": {"Default": "Information"}}}"#),
    ] {
        assert_eq!(parse(settings).map(|templates| templates.len()), Ok(count), "{settings}");
    }
}

#[test]
fn what_cannot_be_emulated_or_read_is_named() {
    for (expected, settings) in [
        (
            "`UpstreamSettings.Templates` and `upstream.templates` are both given",
            r#"{"UpstreamSettings":{"Templates":[]},"upstream":{"templates":[]}}"#,
        ),
        ("`properties.upstream` must be an object", r#"{"properties":{"upstream":[]}}"#),
        ("`upstream.templates` must be an array", r#"{"upstream":{"templates":{}}}"#),
        (
            "ManagedIdentity is not emulated",
            r#"{"upstream":{"templates":[{"urlTemplate":"http://h/","auth":{"type":"ManagedIdentity","managedIdentity":{"resource":"r"}}}]}}"#,
        ),
        (
            "template 1: `UrlTemplate`: an expression of an ARM template",
            r#"{"upstream":{"templates":[{"urlTemplate":"[parameters('url')]"}]}}"#,
        ),
        (
            "template 1: `HubPattern` is an expression of an ARM template",
            r#"{"upstream":{"templates":[{"urlTemplate":"http://h/","hubPattern":"[parameters('hub')]"}]}}"#,
        ),
        (
            "Key Vault",
            r#"{"upstream":{"templates":[{"urlTemplate":"http://h/?code={@Microsoft.KeyVault(SecretUri=s)}"}]}}"#,
        ),
        (
            "`urltemplate` is given twice",
            r#"{"upstream":{"templates":[{"urlTemplate":"http://h/","urltemplate":"http://h/"}]}}"#,
        ),
        ("line 1, column 1", "# not a comment of .NET\n{}"),
        ("line 3, column 1", "{ // one\n // two\n]"),
    ] {
        let error = parse(settings).unwrap_err();
        assert!(error.contains(expected), "{expected} in {error}");
    }
}

#[test]
fn names_that_can_match_nothing_are_warned_of() {
    let connections = "connections";
    for (patterns, expected) in [
        (
            json!({"EventPattern": "connect,disconnect", "CategoryPattern": connections}),
            &[
                "`EventPattern` names `connect`: there is no such event of a connection: `connected` was probably meant",
                "`EventPattern` names `disconnect`: there is no such event of a connection: `disconnected` was probably meant",
            ][..],
        ),
        (
            json!({"EventPattern": "connect,disconnect"}),
            &[
                "`EventPattern` names `connect`: only a hub method can have this name: `connected` was probably meant",
                "`EventPattern` names `disconnect`: only a hub method can have this name: `disconnected` was probably meant",
            ],
        ),
        (
            json!({"EventPattern": "Connected", "CategoryPattern": connections}),
            &[
                "`EventPattern` names `Connected`: there is no such event of a connection, since letter case counts: `connected` was probably meant",
            ],
        ),
        (
            json!({"EventPattern": "OnDisconnected, connected"}),
            &[
                "`EventPattern` names `OnDisconnected`: only a hub method can have this name: `disconnected` was probably meant",
            ],
        ),
        (
            json!({"EventPattern": "sendMessage", "CategoryPattern": connections}),
            &[
                "`EventPattern` names `sendMessage`: there is no such event of a connection: there are `connected` and `disconnected`",
            ],
        ),
        (
            json!({"CategoryPattern": "connection"}),
            &["`CategoryPattern` names `connection`: there is no such category: `connections` was probably meant"],
        ),
        (
            json!({"CategoryPattern": "Message,connections"}),
            &["`CategoryPattern` names `Message`: there is no such category: `messages` was probably meant"],
        ),
        (
            json!({"CategoryPattern": "Messages"}),
            &[
                "`CategoryPattern` names `Messages`: there is no such category, since letter case counts: `messages` was probably meant",
            ],
        ),
        (
            json!({"CategoryPattern": "connected"}),
            &["`CategoryPattern` names `connected`: there is no such category: `connections` was probably meant"],
        ),
        (
            json!({"CategoryPattern": "events"}),
            &["`CategoryPattern` names `events`: there is no such category: there are `connections` and `messages`"],
        ),
        (
            json!({"EventPattern": "connected,,disconnected"}),
            &["`EventPattern` has an empty element, which matches nothing"],
        ),
        (
            json!({"HubPattern": "chat,", "EventPattern": "send*"}),
            &[
                "`HubPattern` has an empty element, which matches nothing",
                "`EventPattern` names `send*`: `*` matches everything only if it stands alone",
            ],
        ),
        (
            json!({"HubPattern": "*, chat room"}),
            &[
                "`HubPattern` names `*`: `*` matches everything only if it stands alone",
                "`HubPattern` names `chat room`: no hub can have this name",
            ],
        ),
    ] {
        let expected: Vec<_> = expected.iter().map(|warning| format!("template 1: {warning}")).collect();
        let templates = parse(&with_patterns(patterns.clone())).unwrap();
        assert_eq!(templates.warnings(), expected, "{patterns}");
    }
}

#[test]
fn patterns_that_can_match_are_not_warned_of() {
    for patterns in [
        json!({}),
        json!({"HubPattern": "*", "CategoryPattern": " ", "EventPattern": ""}),
        json!({"HubPattern": "Chat, game_1", "CategoryPattern": "connections, messages", "EventPattern": "connected, disconnected"}),
        json!({"CategoryPattern": "connections", "EventPattern": "disconnected"}),
        json!({"CategoryPattern": "messages", "EventPattern": "connect, Connected, SendMessage, message"}),
        json!({"EventPattern": "SendMessage, connectToRoom, message"}),
    ] {
        let templates = parse(&with_patterns(patterns.clone())).unwrap();
        assert!(templates.warnings().is_empty(), "{patterns}: {:?}", templates.warnings());
    }
}
