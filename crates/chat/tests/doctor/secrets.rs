//! What the doctor must never say, whatever it finds: keys, secrets, tokens, and what may be one in an address.

use crate::server::{serve, service};
use crate::support::{KEY, Project, Report};
use crate::well::LocalStack;

fn keeps(report: &Report, secret: &str) {
    let said = format!("{}{}", report.out, report.err);
    assert!(!said.is_empty() && !said.contains(secret), "{said}");
}

#[test]
fn no_value_of_a_setting_is_told_whether_it_can_be_used_or_not() {
    let identity = [
        ("AzureSignalRConnectionString__serviceUri", "https://hush:hush@chat.invalid/hush"),
        ("AzureSignalRConnectionString__clientId", "hush"),
        ("AzureSignalRConnectionString__tenantId", "hush"),
        ("AzureSignalRConnectionString__clientSecret", "hush"),
    ];
    keeps(&Project::cloned().visit_with(&[], &identity), "hush");
    for value in [
        "hush",
        "Endpoint=https://chat.invalid;AccessKey=hush;Version=1.0;",
        "Endpoint=http://chat.invalid;AccessKey=hush;Version=1.0;",
        "Endpoint=https://hush:hush@chat.invalid;AccessKey=hush;Version=1.0;",
        "Endpoint=https://chat.invalid;AccessKey=hush;AccessKey=hush;",
        "Endpoint=https://chat.invalid;AuthType=azure.app;ClientId=hush;TenantId=hush;ClientSecret=hush;",
        "Endpoint=https://NAME.invalid;AccessKey=hush;Version=hush;",
    ] {
        keeps(&Project::cloned().visit_with(&[], &[("AzureSignalRConnectionString", value)]), "hush");
    }
    for name in
        ["AzureSignalRHubName", "ChatAllowAnonymous", "AzureSignalRConnectionString__rootCertificates"]
    {
        let connection = ("AzureSignalRConnectionString", "Endpoint=https://chat.invalid;AccessKey=hush;");
        keeps(&Project::cloned().visit_with(&[], &[(name, "0-hush"), connection]), "hush");
    }
}

#[test]
fn no_line_of_a_file_of_settings_is_told() {
    let project = Project::set_up(1);
    project.change("local.settings.json", "\"custom\"", "\"hush\"");
    project.change("local.settings.json", "\"RUST_LOG\": \"info\"", "\"Other\": [\"hush\"]");
    keeps(&project.visit(), "hush");
    project.change("local.settings.json", "\"hush\"", "hush");
    keeps(&project.visit(), "hush");
    for line in [
        "AzureSignalRConnectionString hush",
        "AzureSignalRConnectionString='hush",
        "AzureSignalRConnectionString=hush",
    ] {
        project.write(".env", line);
        keeps(&project.visit_with(&["--env-file", ".env"], &[]), "hush");
    }
}

#[tokio::test]
async fn a_key_that_works_is_not_told_and_neither_is_one_that_does_not() {
    let port = serve(service()).await;
    let visit = move || {
        let project = Project::set_up(port);
        keeps(&project.visit(), KEY);
        project.change("local.settings.json", KEY, "another-hush");
        keeps(&project.visit(), "hush");
    };
    tokio::task::spawn_blocking(visit).await.unwrap();
}

#[test]
fn what_may_be_secret_in_an_address_is_not_told() {
    let stack = LocalStack::start();
    let secret = |address: String| address.replace("://", "://hush:hush@") + "/?code=hush#token=hush";
    let (api, page) = (secret(stack.api()), secret(stack.page()));
    let report = Project::cloned().visit_with(&["--api", &api, "--page", &page], &[]);
    report.is_well();
    keeps(&report, "hush");
    for wrong in ["hush", "ftp://hush:hush@chat.example", "https://hush:hush@"] {
        for option in ["--api", "--page"] {
            let report = Project::cloned().visit_with(&[option, wrong], &[]);
            assert_eq!(report.code, 64, "{wrong}");
            assert!(report.err.contains(option), "{}", report.err);
            keeps(&report, "hush");
        }
    }
}
