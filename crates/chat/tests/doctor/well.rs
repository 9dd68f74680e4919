//! What is well is found to be well: this repository's own folder, and the stack of `make run`.

use std::path::Path;

use serde_json::json;
use test_support::process::Process;

use crate::server::{serve, service};
use crate::support::{Project, repository};

/// `chat` on free ports, with a page that names GitHub for sign-in.
pub(crate) struct LocalStack {
    process: Process,
    _folder: Project,
}

impl LocalStack {
    pub(crate) fn start() -> Self {
        let ports = ["--page-port", "--api-port", "--signalr-port", "--communication-port"];
        let free: Vec<_> = ports.iter().flat_map(|port| [*port, "0"]).collect();
        let folder = Project::cloned();
        folder.write("content/dist/index.html", "<!doctype html>");
        folder.write(
            "content/dist/config.json",
            &json!({"apiBaseUrl": "", "authProvider": "github"}).to_string(),
        );
        let mut command = Process::command(Path::new(env!("CARGO_BIN_EXE_chat")), &free, &[]);
        let process = Process::spawn(command.current_dir(&folder.0));
        process.out.line("ready");
        Self { process, _folder: folder }
    }

    fn line(&self, label: &str) -> String {
        let text = self.process.out.text();
        text.lines().find_map(|line| line.trim_start().strip_prefix(label)).unwrap().trim().to_owned()
    }

    pub(crate) fn api(&self) -> String {
        self.line("functions").strip_suffix("/api").unwrap().to_owned()
    }

    pub(crate) fn page(&self) -> String {
        self.line("page")
    }

    pub(crate) fn connection(&self) -> String {
        self.line("connection")
    }
}

#[test]
fn the_local_stack_is_well_in_all_its_parts() {
    let stack = LocalStack::start();
    let report = Project::cloned().visit_with(
        &["--api", &stack.api(), "--page", &stack.page()],
        &[("AzureSignalRConnectionString", &stack.connection())],
    );
    report.is_well();
    for subject in [
        "host.json",
        "negotiate",
        "SendMessage",
        "SignalRInfo",
        "AccessToken",
        "handler",
        "service",
        "clock",
        "key",
        "mode",
        "service CORS",
        "CORS",
        "Easy Auth",
        "a forged name",
        "page",
    ] {
        report.approves(subject, "");
    }
    report.approves("negotiate", "lets guests in");
    report.approves("sign-in", "github");
    report.approves("config.json", &stack.api());
}

#[test]
fn the_local_stack_is_well_for_who_knows_only_its_addresses() {
    let stack = LocalStack::start();
    Project::cloned().visit_with(&["--api", &stack.api(), "--page", &stack.page()], &[]).is_well();
}

/// As for `func start`: example settings, a program of this machine, the emulator.
#[tokio::test]
async fn this_repository_is_well_once_it_is_set_up() {
    let port = serve(service()).await;
    let visit = move || {
        let project = Project::set_up(port);
        project.remove("handler");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_chat"), project.0.join("handler")).unwrap();
        project.visit()
    };
    let report = tokio::task::spawn_blocking(visit).await.unwrap();
    report.is_well();
    report.approves("handler", "executable");
    report.approves("local.settings.json", "");
}

#[test]
fn a_fresh_clone_is_well_and_told_what_func_start_wants() {
    let project = Project::cloned();
    project.remove("handler");
    let report = project.visit();
    report.is_well();
    report.leaves_out("handler", "cargo build && cp target/debug/handler .");
    report.leaves_out("local.settings.json", "cp local.settings.json.example local.settings.json");
}

#[test]
fn a_package_is_well() {
    let report = Project::package().visit();
    report.is_well();
    report.approves("handler", "static");
}

#[test]
fn it_can_look_from_anywhere() {
    let (here, project) = (Project::cloned(), Project::cloned());
    here.remove("host.json");
    let folder = project.0.to_str().unwrap();
    here.visit_with(&["--folder", folder], &[]).is_well();
    here.write("elsewhere.json", &repository("local.settings.json.example").replace("\"chat\"", "\"1\""));
    let report = here.visit_with(&["--folder", folder, "--settings", "elsewhere.json"], &[]);
    report.finds("AzureSignalRHubName", "", "in elsewhere.json");
}

#[test]
fn behind_a_host_there_is_no_doctor() {
    let variables = [
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "7"),
        ("AzureSignalRConnectionString", "Endpoint=https://chat.invalid;AccessKey=hush;"),
    ];
    let report = Project::cloned().visit_with(&[], &variables);
    assert_eq!((report.code, report.out.as_str()), (64, ""));
}
