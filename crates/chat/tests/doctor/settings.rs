//! Mistakes in the settings, wherever they are. The service they name is nobody's, which is told as well.

use std::process::Command;

use crate::support::{KEY, Project, Report};

const SIGNALR: &str = "AzureSignalRConnectionString";
const FILE: &str = "local.settings.json";

/// What the doctor says after one change of `local.settings.json`.
fn with_settings(right: &str, wrong: &str) -> Report {
    let project = Project::set_up(1);
    project.change(FILE, right, wrong);
    project.visit()
}

/// What the doctor says about a connection string.
fn with_connection(connection: &str) -> Report {
    Project::cloned().visit_with(&[], &[(SIGNALR, connection)])
}

#[test]
fn a_settings_file_that_is_no_json_is_told() {
    with_settings("\"Values\": {", "\"Values\": {,").finds_only(
        FILE,
        "is not JSON",
        "cp local.settings.json.example",
    );
}

#[test]
fn a_settings_file_in_another_encoding_is_told() {
    let project = Project::set_up(1);
    let text = std::fs::read_to_string(project.0.join(FILE)).unwrap();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(project.0.join(FILE), utf16).unwrap();
    project.visit().finds_only(FILE, "is not JSON", "cp local.settings.json.example");
}

#[test]
fn a_settings_file_that_does_not_say_it_is_not_encrypted_is_told() {
    with_settings("\"IsEncrypted\": false,", "").finds(
        FILE,
        "Failed to decrypt settings",
        "\"IsEncrypted\": false",
    );
}

#[test]
fn a_settings_file_without_the_runtime_makes_func_ask() {
    let report = with_settings("\"FUNCTIONS_WORKER_RUNTIME\": \"custom\",", "");
    report.finds(
        FILE,
        "FUNCTIONS_WORKER_RUNTIME is not `custom`",
        "\"FUNCTIONS_WORKER_RUNTIME\": \"custom\"",
    );
}

#[test]
fn a_settings_file_for_another_runtime_is_told() {
    with_settings("\"custom\"", "\"node\"").finds(
        FILE,
        "FUNCTIONS_WORKER_RUNTIME is not `custom`",
        "under Values",
    );
}

#[test]
fn a_value_that_is_no_text_costs_the_whole_file() {
    with_settings("\"ChatAllowAnonymous\": \"true\"", "\"ChatAllowAnonymous\": true").finds(
        FILE,
        "ChatAllowAnonymous is no text",
        "quotes",
    );
}

#[test]
fn a_name_that_func_keeps_for_itself_is_told() {
    with_settings("\"RUST_LOG\"", "\"WEBSITE_HOSTNAME\"").finds(
        FILE,
        "WEBSITE_HOSTNAME",
        "take WEBSITE_HOSTNAME out",
    );
}

#[test]
fn an_origin_with_a_slash_in_the_settings_file_is_told() {
    with_settings(":5500,", ":5500/,").finds(FILE, "slash at its end", "Host.CORS");
}

#[test]
fn a_settings_file_that_git_keeps_is_told() {
    let project = Project::set_up(1);
    for arguments in [&["init", "--quiet"][..], &["add", FILE]] {
        assert!(Command::new("git").args(arguments).current_dir(&project.0).status().unwrap().success());
    }
    project.visit().finds(FILE, "is kept in git", "git rm --cached local.settings.json");
}

#[test]
fn settings_for_a_host_that_name_no_service_are_told() {
    with_settings(SIGNALR, "OtherConnectionString").finds(SIGNALR, "is not set", "az signalr key list");
}

#[test]
fn a_placeholder_that_was_left_in_is_told() {
    let report = with_connection("Endpoint=https://NAME.service.signalr.net;AccessKey=KEY;Version=1.0;");
    report.finds(SIGNALR, "placeholder", "az signalr key list");
}

#[test]
fn a_connection_string_without_a_key_is_told() {
    with_connection("Endpoint=https://chat.service.signalr.net;Version=1.0;").finds_only(
        SIGNALR,
        "accesskey is required",
        "the environment",
    );
}

#[test]
fn a_connection_string_without_an_address_is_told() {
    with_connection("AccessKey=hush;Version=1.0;").finds_only(SIGNALR, "endpoint", "az signalr key list");
}

#[test]
fn a_key_and_an_identity_at_once_are_told() {
    let project = Project::set_up(1);
    let uri = ("AzureSignalRConnectionString__serviceUri", "https://chat.service.signalr.net");
    project.visit_with(&[], &[uri]).finds_only(SIGNALR, "take away the one you do not mean", FILE);
}

#[test]
fn the_key_everybody_knows_for_a_service_in_the_cloud_is_told() {
    let connection =
        "Endpoint=https://chat.invalid;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;";
    with_connection(connection).finds(SIGNALR, "the official emulator", "az signalr key list");
}

#[test]
fn a_service_in_the_cloud_over_http_is_told() {
    with_connection(&format!("Endpoint=http://chat.invalid;AccessKey={KEY};Version=1.0;"))
        .finds(SIGNALR, "in clear", "https://");
}

#[test]
fn a_hub_that_cannot_be_called_so_is_told() {
    with_settings("\"chat\"", "\"1-chat\"").finds_only("AzureSignalRHubName", "", "in local.settings.json");
}

#[test]
fn a_switch_that_is_neither_on_nor_off_is_told() {
    with_settings("\"ChatAllowAnonymous\": \"true\"", "\"ChatAllowAnonymous\": \"yes\"").finds_only(
        "ChatAllowAnonymous",
        "must be true or false",
        "in local.settings.json",
    );
}

#[test]
fn every_wrong_setting_is_told_at_once() {
    let variables = [("ChatAllowAnonymous", "yes"), ("AzureSignalRHubName", "1"), (SIGNALR, "x")];
    let report = Project::cloned().visit_with(&[], &variables);
    for (name, _) in variables {
        report.finds(name, "", "the environment");
    }
}

#[test]
fn a_line_of_an_env_file_that_is_none_is_told_by_its_number() {
    let project = Project::cloned();
    project.write(".env", "# ours\nChatAllowAnonymous=true\nhush hush\n");
    project.visit_with(&["--env-file", ".env"], &[]).finds_only(".env", "line 3", "line 3 of .env");
}

#[test]
fn a_file_that_was_named_has_to_be_there() {
    let project = Project::cloned();
    project.visit_with(&["--env-file", "no.env"], &[]).finds_only("no.env", "cannot be read", "--env-file");
    project.visit_with(&["--settings", "no.json"], &[]).finds_only("no.json", "cannot be read", "--settings");
}

#[test]
fn the_environment_wins_over_an_env_file_and_that_over_the_settings_file() {
    let project = Project::set_up(1);
    project.write(".env", "AzureSignalRHubName=lobby\nChatAllowAnonymous=yes\n");
    let report = project.visit_with(&["--env-file", ".env"], &[("ChatAllowAnonymous", "false")]);
    report.approves("ChatAllowAnonymous", "from the environment");
    report.approves("AzureSignalRHubName", "from .env");
    report.approves(SIGNALR, "from local.settings.json");
    project.visit_with(&["--env-file", ".env"], &[]).finds_only(
        "ChatAllowAnonymous",
        "must be true or false",
        "in .env",
    );
}
