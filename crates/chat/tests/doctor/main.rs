//! Tests of `chat doctor` as a process: each starts from a project and servers without problems and changes one thing.
//!
//! The tests in this file show that it finds no problem without such a change, and that it never prints a secret.

// Test projects contain executable files and symbolic links.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod deployed;
mod history;
mod project;
mod service;
mod settings;
mod test_project;
mod test_servers;

use crate::test_project::{KEY, Project, Report, SIGNALR, repository};
use crate::test_servers::{LocalStack, serve, signalr_service};

#[test]
fn the_local_stack_passes_every_check() {
    let stack = LocalStack::start();
    let arguments = ["--api", &stack.api(), "--page", &stack.page()];
    let report = Project::cloned().run_with(&arguments, &[(SIGNALR, &stack.connection())]);
    report.passes();
    for subject in [
        "host.json", "negotiate", "SendMessage", "SignalRInfo", "AccessToken", "Me", "Features", "Rooms",
        "RoomMembers", "RoomMember", "History", "RemoveMessage", "handler", "service", "clock", "key", "mode",
        "service CORS", "CORS", "Easy Auth", "a forged name", "page",
    ] {
        report.is_ok(subject, "");
    }
    report.is_ok("negotiate", "allows guests");
    report.is_ok("sign-in", "github");
    report.is_ok("config.json", &stack.api());
}

#[test]
fn the_local_stack_passes_by_its_addresses_alone() {
    let stack = LocalStack::start();
    Project::cloned().run_with(&["--api", &stack.api(), "--page", &stack.page()], &[]).passes();
}

/// As for `func start`: example settings, an executable for this machine, the emulator.
#[test]
fn this_repository_passes_once_it_is_set_up() {
    let project = Project::set_up(serve(signalr_service()));
    project.remove("handler");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_chat"), project.0.join("handler")).unwrap();
    let report = project.run();
    report.passes();
    report.is_ok("handler", "executable");
    report.is_ok("local.settings.json", "");
}

#[test]
fn a_fresh_clone_passes_and_shows_what_func_start_needs() {
    let project = Project::cloned();
    project.remove("handler");
    let report = project.run();
    report.passes();
    report.skips("handler", "cargo build && cp target/debug/handler .");
    report.skips("local.settings.json", "cp local.settings.json.example local.settings.json");
}

#[test]
fn a_package_passes() {
    let report = Project::package().run();
    report.passes();
    report.is_ok("handler", "static");
}

#[test]
fn it_can_run_in_another_folder() {
    let (here, project) = (Project::cloned(), Project::cloned());
    here.remove("host.json");
    let folder = project.0.to_str().unwrap();
    here.run_with(&["--folder", folder], &[]).passes();
    here.write("other.json", &repository("local.settings.json.example").replace("\"chat\"", "\"1\""));
    let report = here.run_with(&["--folder", folder, "--settings", "other.json"], &[]);
    report.finds("AzureSignalRHubName", "", "in other.json");
}

#[test]
fn behind_a_host_the_doctor_does_not_run() {
    let variables = [("FUNCTIONS_CUSTOMHANDLER_PORT", "7"), (SIGNALR, "Endpoint=https://chat.invalid;AccessKey=hush;")];
    let report = Project::cloned().run_with(&[], &variables);
    assert_eq!((report.code, report.out.as_str()), (64, ""));
}

fn assert_secret(report: &Report, secret: &str) {
    let printed = format!("{}{}", report.out, report.err);
    assert!(!printed.is_empty() && !printed.contains(secret), "{printed}");
}

#[test]
fn no_value_of_a_setting_is_printed() {
    let identity = [
        ("AzureSignalRConnectionString__serviceUri", "https://hush:hush@chat.invalid/hush"),
        ("AzureSignalRConnectionString__clientId", "hush"),
        ("AzureSignalRConnectionString__tenantId", "hush"),
        ("AzureSignalRConnectionString__clientSecret", "hush"),
    ];
    assert_secret(&Project::cloned().run_with(&[], &identity), "hush");
    for value in [
        "hush",
        "Endpoint=https://chat.invalid;AccessKey=hush;Version=1.0;",
        "Endpoint=http://chat.invalid;AccessKey=hush;Version=1.0;",
        "Endpoint=https://hush:hush@chat.invalid;AccessKey=hush;Version=1.0;",
        "Endpoint=https://chat.invalid;AccessKey=hush;AccessKey=hush;",
        "Endpoint=https://chat.invalid;AuthType=azure.app;ClientId=hush;TenantId=hush;ClientSecret=hush;",
        "Endpoint=https://NAME.invalid;AccessKey=hush;Version=hush;",
    ] {
        assert_secret(&Project::cloned().run_with(&[], &[(SIGNALR, value)]), "hush");
    }
    for name in ["AzureSignalRHubName", "ChatAllowAnonymous", "AzureSignalRConnectionString__rootCertificates"] {
        let connection = (SIGNALR, "Endpoint=https://chat.invalid;AccessKey=hush;");
        assert_secret(&Project::cloned().run_with(&[], &[(name, "0-hush"), connection]), "hush");
    }
}

#[test]
fn no_line_of_a_settings_file_is_printed() {
    let project = Project::set_up(1);
    project.change("local.settings.json", "\"custom\"", "\"hush\"");
    project.change("local.settings.json", "\"RUST_LOG\": \"info\"", "\"Other\": [\"hush\"]");
    assert_secret(&project.run(), "hush");
    project.change("local.settings.json", "\"hush\"", "hush");
    assert_secret(&project.run(), "hush");
    for line in
        ["AzureSignalRConnectionString hush", "AzureSignalRConnectionString='hush", "AzureSignalRConnectionString=hush"]
    {
        project.write(".env", line);
        assert_secret(&project.run_with(&["--env-file", ".env"], &[]), "hush");
    }
}

#[test]
fn no_key_is_printed_valid_or_not() {
    let project = Project::set_up(serve(signalr_service()));
    assert_secret(&project.run(), KEY);
    project.change("local.settings.json", KEY, "another-hush");
    assert_secret(&project.run(), "hush");
}

#[test]
fn no_secret_part_of_an_address_is_printed() {
    let stack = LocalStack::start();
    let secret = |address: String| address.replace("://", "://hush:hush@") + "/?code=hush#token=hush";
    let (api, page) = (secret(stack.api()), secret(stack.page()));
    let report = Project::cloned().run_with(&["--api", &api, "--page", &page], &[]);
    report.passes();
    assert_secret(&report, "hush");
    for wrong in ["hush", "ftp://hush:hush@chat.example", "https://hush:hush@"] {
        for option in ["--api", "--page"] {
            let report = Project::cloned().run_with(&[option, wrong], &[]);
            assert_eq!(report.code, 64, "{wrong}");
            assert!(report.err.contains(option), "{}", report.err);
            assert_secret(&report, "hush");
        }
    }
}
