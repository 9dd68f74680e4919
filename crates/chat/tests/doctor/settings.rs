//! Tests of `chat doctor` with problems of the settings. The service they name does not run, which is reported too.

use std::process::Command;

use crate::test_project::{KEY, Project, Report, SIGNALR, problem_tests};

const FILE: &str = "local.settings.json";

/// Runs the doctor after one change of `local.settings.json`.
fn with_settings(right: &str, wrong: &str) -> Report {
    Project::set_up(1).change(FILE, right, wrong).run()
}

/// Runs the doctor with a connection string.
fn with_connection(connection: &str) -> Report {
    Project::cloned().run_with(&[], &[(SIGNALR, connection)])
}

problem_tests! { finds_only:
    a_settings_file_that_is_not_json_is_reported = with_settings(r#""Values": {"#, r#""Values": {,"#)
        => FILE, "is not JSON", "cp local.settings.json.example";
    a_connection_string_without_a_key_is_reported =
        with_connection("Endpoint=https://chat.service.signalr.net;Version=1.0;")
        => SIGNALR, "accesskey is required", "the environment";
    a_connection_string_without_an_address_is_reported = with_connection("AccessKey=hush;Version=1.0;")
        => SIGNALR, "endpoint", "az signalr key list";
    a_key_and_an_identity_at_once_are_reported = Project::set_up(1)
        .run_with(&[], &[("AzureSignalRConnectionString__serviceUri", "https://chat.service.signalr.net")])
        => SIGNALR, "take away the one you do not mean", FILE;
    an_invalid_hub_name_is_reported = with_settings(r#""chat""#, r#""1-chat""#)
        => "AzureSignalRHubName", "", "in local.settings.json";
    an_invalid_switch_is_reported =
        with_settings(r#""ChatAllowAnonymous": "true""#, r#""ChatAllowAnonymous": "yes""#)
        => "ChatAllowAnonymous", "must be true or false", "in local.settings.json";
    an_invalid_line_of_an_env_file_is_reported_by_its_number = Project::cloned()
        .write(".env", "# ours\nChatAllowAnonymous=true\nhush hush\n")
        .run_with(&["--env-file", ".env"], &[])
        => ".env", "line 3", "line 3 of .env";
}

problem_tests! { finds:
    a_settings_file_without_is_encrypted_is_reported = with_settings(r#""IsEncrypted": false,"#, "")
        => FILE, "Failed to decrypt settings", r#""IsEncrypted": false"#;
    a_settings_file_without_a_runtime_is_reported = with_settings(r#""FUNCTIONS_WORKER_RUNTIME": "custom","#, "")
        => FILE, "FUNCTIONS_WORKER_RUNTIME is not `custom`", r#""FUNCTIONS_WORKER_RUNTIME": "custom""#;
    a_settings_file_for_another_runtime_is_reported = with_settings(r#""custom""#, r#""node""#)
        => FILE, "FUNCTIONS_WORKER_RUNTIME is not `custom`", "under Values";
    a_value_that_is_not_text_is_reported =
        with_settings(r#""ChatAllowAnonymous": "true""#, r#""ChatAllowAnonymous": true"#)
        => FILE, "ChatAllowAnonymous is not text", "quotes";
    a_name_that_func_reserves_is_reported = with_settings("RUST_LOG", "WEBSITE_HOSTNAME")
        => FILE, "WEBSITE_HOSTNAME", "remove WEBSITE_HOSTNAME";
    an_origin_with_a_slash_in_the_settings_file_is_reported = with_settings(":5500,", ":5500/,")
        => FILE, "slash at its end", "Host.CORS";
    settings_for_a_host_that_name_no_service_are_reported = with_settings(SIGNALR, "OtherConnectionString")
        => SIGNALR, "is not set", "az signalr key list";
    a_placeholder_is_reported =
        with_connection("Endpoint=https://NAME.service.signalr.net;AccessKey=KEY;Version=1.0;")
        => SIGNALR, "placeholder", "az signalr key list";
    the_official_emulators_key_for_a_service_in_azure_is_reported =
        with_connection("Endpoint=https://chat.invalid;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;")
        => SIGNALR, "published key of the official emulator", "az signalr key list";
    a_service_in_azure_over_http_is_reported =
        with_connection(&format!("Endpoint=http://chat.invalid;AccessKey={KEY};Version=1.0;"))
        => SIGNALR, "unencrypted", "https://";
}

#[test]
fn a_settings_file_in_another_encoding_is_reported() {
    let project = Project::set_up(1);
    let text = std::fs::read_to_string(project.0.join(FILE)).unwrap();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(project.0.join(FILE), utf16).unwrap();
    project.run().finds_only(FILE, "is not JSON", "cp local.settings.json.example");
}

#[test]
fn a_settings_file_tracked_by_git_is_reported() {
    let project = Project::set_up(1);
    for arguments in [&["init", "--quiet"][..], &["add", FILE]] {
        assert!(Command::new("git").args(arguments).current_dir(&project.0).status().unwrap().success());
    }
    project.run().finds(FILE, "is tracked by git", "git rm --cached local.settings.json");
}

#[test]
fn all_invalid_settings_are_reported_at_once() {
    let variables = [("ChatAllowAnonymous", "yes"), ("AzureSignalRHubName", "1"), (SIGNALR, "x")];
    let report = Project::cloned().run_with(&[], &variables);
    for (name, _) in variables {
        report.finds(name, "", "the environment");
    }
}

#[test]
fn a_file_given_as_an_option_must_exist() {
    let project = Project::cloned();
    project.run_with(&["--env-file", "no.env"], &[]).finds_only("no.env", "cannot be read", "--env-file");
    project.run_with(&["--settings", "no.json"], &[]).finds_only("no.json", "cannot be read", "--settings");
}

#[test]
fn the_environment_overrides_an_env_file_and_that_the_settings_file() {
    let project = Project::set_up(1);
    project.write(".env", "AzureSignalRHubName=lobby\nChatAllowAnonymous=yes\n");
    let report = project.run_with(&["--env-file", ".env"], &[("ChatAllowAnonymous", "false")]);
    report.is_ok("ChatAllowAnonymous", "from the environment");
    report.is_ok("AzureSignalRHubName", "from .env");
    report.is_ok(SIGNALR, "from local.settings.json");
    project.run_with(&["--env-file", ".env"], &[]).finds_only("ChatAllowAnonymous", "must be true or false", "in .env");
}

#[test]
fn an_account_key_of_the_identity_store_and_a_sas_that_cannot_work_are_reported() {
    let report = Project::cloned().run_with(&[], &[("ChatIdentityStoreKey", "aHVzaA==")]);
    report.finds(
        "ChatIdentityStoreKey",
        "a SAS URL of the container",
        "remove ChatIdentityStoreKey from the environment",
    );
    let container = "https://account.blob.core.windows.net/chat-identities";
    let expired = format!("{container}?sv=2026-06-06&sp=rcwd&se=2026-01-01&sr=c&sig=hush");
    let report = Project::cloned().run_with(&[], &[("ChatIdentityStore", &expired)]);
    report.finds("ChatIdentityStore", "has expired", "correct ChatIdentityStore");
}
