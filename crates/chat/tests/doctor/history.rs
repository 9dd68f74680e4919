//! Tests of `chat doctor` with problems of the history: its SAS, its container, its folder.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use test_support::http::free_port;

use crate::test_project::{Project, Report, problem_tests};
use crate::test_servers::{Change, changed, response, serve};

const HISTORY: &str = "ChatHistory";
const SAS: &str = "sv=2026-06-06&sp=racwdl&se=2999-01-01&sr=c&sig=hush";
const CODE: &str = "x-ms-error-code";

/// A private container in an account without a hierarchical namespace, which keeps nothing of what is deleted.
fn container(request: &Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    match request.uri().path() {
        _ if !query.contains("sig=hush") => response(404, &[(CODE, "ResourceNotFound")], ""),
        "/account/chat-history" if query.starts_with("restype=container&comp=list") => response(
            200,
            &[],
            "<EnumerationResults><Blobs><Blob><Name>rooms/everyone/00000001.jsonl</Name></Blob></Blobs></EnumerationResults>",
        ),
        "/account/chat-history" if query.starts_with("restype=account&comp=properties") => {
            response(200, &[("x-ms-is-hns-enabled", "false")], "")
        }
        _ => response(400, &[], ""),
    }
}

fn run(value: &str) -> Report {
    Project::cloned().run_with(&[], &[(HISTORY, value)])
}

fn run_with_sas(sas: &str) -> Report {
    run(&format!("https://chat.blob.core.windows.net.invalid/chat-history?{sas}"))
}

/// Runs the doctor for a container with one change.
fn with_container(change: impl Change) -> Report {
    let port = serve(changed(Router::new().fallback(async |request: Request| container(&request)), change));
    run(&format!("http://127.0.0.1:{port}/account/chat-history?{SAS}"))
}

/// The change that requests whose query has this text get `answer`.
fn for_query(text: &'static str, answer: fn() -> Response) -> impl Change {
    move |request: &Request| request.uri().query().is_some_and(|query| query.contains(text)).then(answer)
}

/// The change that requests without credentials get `answer`.
fn for_strangers(answer: fn() -> Response) -> impl Change {
    move |request: &Request| request.uri().query().is_none().then(answer)
}

problem_tests! { finds_only:
    a_sas_without_permissions_names_each_of_them = run_with_sas("sv=1&sp=rcwl&se=2999-01-01&sr=c&sig=hush")
        => HISTORY, "does not allow to add (a), delete (d)", "az storage container generate-sas";
    a_sas_that_has_expired_is_reported = run_with_sas("sv=1&sp=racwdl&se=2026-01-01&sr=c&sig=hush")
        => HISTORY, "has expired", "--permissions racwdl";
    a_history_in_a_container_of_another_form_is_reported = run("https://chat.blob.core.windows.net/")
        => HISTORY, "must be the address of a container", "the environment";
    a_public_container_is_reported = with_container(for_strangers(|| response(404, &[(CODE, "BlobNotFound")], "")))
        => "privacy", "is public", "--public-access off";
    a_container_that_does_not_exist_is_reported =
        with_container(for_query("maxresults=1&", || response(404, &[(CODE, "ContainerNotFound")], "")))
        => "history", "does not exist", "az storage container create";
    a_sas_that_the_account_rejects_is_reported =
        with_container(for_query("maxresults=1&", || response(403, &[(CODE, "AuthenticationFailed")], "")))
        => "history", "rejects the SAS", "generate-sas";
    an_account_that_allows_no_keys_is_reported =
        with_container(for_query("maxresults=1&", || response(403, &[(CODE, "KeyBasedAuthenticationNotPermitted")], "")))
        => "history", "allows no SAS", "Storage Blob Data Contributor";
    an_account_with_a_hierarchical_namespace_is_reported =
        with_container(for_query("restype=account", || response(200, &[("x-ms-is-hns-enabled", "true")], "")))
        => "namespace", "cannot be sealed", "create an account without it";
    an_account_with_versioning_is_reported = with_container(for_query("include=versions", || {
        response(200, &[], "<Blob><Name>a</Name><VersionId>2026-11-26T00:00:00Z</VersionId></Blob>")
    }))
        => "deleted messages", "versioning is on", "--enable-versioning false";
    an_account_with_soft_delete_is_reported = with_container(for_query("include=versions", || {
        response(200, &[], "<Blob><Name>a</Name><Deleted>true</Deleted></Blob>")
    }))
        => "deleted messages", "soft delete is on", "--enable-delete-retention false";
    an_account_that_does_not_answer_is_reported =
        run(&format!("http://127.0.0.1:{}/account/chat-history?{SAS}", free_port()))
        => "history", "connection refused", "primaryEndpoints.blob";
    an_account_that_is_called_with_an_identity_and_does_not_answer_is_reported =
        run(&format!("https://127.0.0.1:{}/account/chat-history", free_port()))
        => "history", "connection refused", "primaryEndpoints.blob";
    a_file_in_place_of_the_folder_is_reported = Project::cloned()
        .write("messages", "")
        .run_with(&[], &[(HISTORY, "messages")])
        => "history", "cannot be written: not a directory", "off";
}

#[test]
fn a_container_without_problems_passes_and_shows_what_cannot_be_seen() {
    let report = with_container(|_| None);
    report.passes();
    report.is_ok(HISTORY, "from the environment");
    report.is_ok(HISTORY, "its SAS allows all");
    report.is_ok("privacy", "cannot be read without credentials");
    report.is_ok("history", "can be listed");
    report.is_ok("namespace", "flat");
    report.is_ok("deleted messages", "none is left");
    report.skips("old messages", "az storage account management-policy show");
    assert!(!report.out.contains("hush"), "{}", report.out);
    let report = with_container(for_query("restype=account", || response(403, &[], "")));
    report.passes();
    report.skips("namespace", "az storage account show");
    let report = with_container(for_query("include=versions", || response(403, &[], "")));
    report.passes();
    report.skips("deleted messages", "does not show");
}

#[test]
fn a_sas_that_soon_expires_is_reported_before_it_does() {
    let tomorrow = jiff::Timestamp::now() + std::time::Duration::from_secs(36 * 3_600);
    let port = serve(Router::new().fallback(async |request: Request| container(&request)));
    let sas = SAS.replace("2999-01-01", &tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let report = run(&format!("http://127.0.0.1:{port}/account/chat-history?{sas}"));
    report.finds_only(HISTORY, "its SAS expires in 1 day", "--expiry");
}

#[test]
fn a_folder_is_written_to_and_nothing_is_left_in_it() {
    let project = Project::cloned();
    project.run().is_ok("history", "will be created");
    assert!(!project.0.join(".chat").exists());
    std::fs::create_dir_all(project.0.join("messages")).unwrap();
    project.run_with(&[], &[(HISTORY, "messages")]).is_ok("history", "its folder can be written");
    assert_eq!(std::fs::read_dir(project.0.join("messages")).unwrap().count(), 0);
    project.run_with(&[], &[(HISTORY, "off")]).skips("history", "no message is kept");
}
