//! Mistakes in `host.json`, in the function folders, and with the handler's file.

use crate::support::{Project, Report, elf};

/// What the doctor says after one change of `host.json`.
fn with_host(right: &str, wrong: &str) -> Report {
    let project = Project::cloned();
    project.change("host.json", right, wrong);
    project.visit()
}

/// What the doctor says after one change of a function's file.
fn with_function(name: &str, right: &str, wrong: &str) -> Report {
    let project = Project::cloned();
    project.change(&format!("{name}/function.json"), right, wrong);
    project.visit()
}

#[test]
fn a_folder_without_host_json_is_no_function_app() {
    let project = Project::cloned();
    project.remove("host.json");
    project.visit().finds_only("host.json", "there is none", "--folder");
}

#[test]
fn a_host_json_with_a_comment_in_it_is_not_json() {
    with_host("{\n  \"version\"", "{ // ours\n  \"version\"").finds_only(
        "host.json",
        "is not JSON",
        "git restore host.json",
    );
}

#[test]
fn a_host_json_of_another_version_stops_the_host() {
    with_host("\"2.0\"", "\"2\"").finds_only("host.json", "version", "set \"version\": \"2.0\"");
}

#[test]
fn a_host_json_without_a_custom_handler_is_one_for_another_language() {
    with_host("customHandler", "customHandlers").finds_only(
        "host.json",
        "WorkerConfig for runtime: custom not found",
        "git restore",
    );
}

#[test]
fn a_file_to_start_that_is_not_there_is_missed() {
    with_host("\"handler\"", "\"chat\"").leaves_out("chat", "not built yet");
    let package = Project::package();
    package.change("host.json", "\"handler\"", "\"chat\"");
    package.visit().finds_only("chat", "is not there", "make package");
}

#[test]
fn a_file_to_start_with_a_dot_before_it_loses_its_exec_bit() {
    with_host("\"handler\"", "\"./handler\"").finds_only("host.json", "letter by letter", "to \"handler\"");
}

#[test]
fn nothing_to_start_is_told() {
    with_host("\"defaultExecutablePath\": \"handler\",", "").finds_only(
        "host.json",
        "does not say what to start",
        "defaultExecutablePath",
    );
}

#[test]
fn a_host_that_does_not_forward_sends_envelopes() {
    with_host("Request\": true", "Request\": false").finds_only(
        "host.json",
        "envelopes",
        "enableForwardingHttpRequest to true",
    );
}

#[test]
fn the_misspelt_switch_for_proxying_is_known() {
    let project = Project::cloned();
    project.change("host.json", "\"enableForwardingHttpRequest\": true,", "");
    project.change("host.json", "enableProxyingHttpRequest", "enableHttpProxyingRequest");
    project.visit().finds_only(
        "host.json",
        "`enableHttpProxyingRequest` is no setting",
        "enableForwardingHttpRequest",
    );
}

#[test]
fn a_route_prefix_in_the_file_alone_is_unknown_to_the_handler() {
    with_host("\"api\"", "\"v2\"").finds_only(
        "host.json",
        "routePrefix is not `api`",
        "AzureFunctionsJobHost__extensions__http__routePrefix",
    );
}

#[test]
fn a_fixed_port_of_the_handler_is_told() {
    with_host("\"customHandler\": {", "\"customHandler\": { \"port\": 9000,").finds_only(
        "host.json",
        "collide",
        "take customHandler.port out",
    );
}

#[test]
fn routes_beside_function_folders_stop_the_host() {
    let wrong = "\"customHandler\": { \"http\": { \"routes\": [{ \"route\": \"x\" }] },";
    with_host("\"customHandler\": {", wrong).finds_only(
        "host.json",
        "does not start with both",
        "take customHandler.http out",
    );
}

#[test]
fn a_function_folder_that_is_gone_is_missed() {
    let project = Project::cloned();
    project.remove("SendMessage");
    project.visit().finds_only("SendMessage", "/api/messages is 404", "git restore SendMessage");
}

#[test]
fn a_function_json_that_is_none_is_told() {
    with_function("negotiate", "{", "").finds_only(
        "negotiate",
        "function.json",
        "git restore negotiate/function.json",
    );
}

#[test]
fn a_further_binding_changes_the_hosts_protocol() {
    let wrong =
        "\"bindings\": [ { \"type\": \"signalRConnectionInfo\", \"direction\": \"in\", \"name\": \"c\" },";
    with_function("negotiate", "\"bindings\": [", wrong).finds_only(
        "negotiate",
        "exactly two bindings",
        "git restore",
    );
}

#[test]
fn a_function_that_asks_for_a_key_is_told() {
    with_function("SendMessage", "\"anonymous\"", "\"function\"").finds_only(
        "SendMessage",
        "authLevel",
        "git restore",
    );
}

#[test]
fn a_method_that_is_missing_is_told() {
    with_function("negotiate", "\"post\"", "\"get\"").finds_only("negotiate", "lack `post`", "git restore");
}

#[test]
fn a_function_that_moved_away_from_its_callers_is_told() {
    with_function("SendMessage", "\"messages\"", "\"message\"").finds_only(
        "SendMessage",
        "callers look for `messages`",
        "git restore",
    );
}

#[test]
fn a_function_that_the_handler_does_not_serve_is_told() {
    let project = Project::cloned();
    let json =
        crate::support::repository("SendMessage/function.json").replace("\"messages\"", "\"presence\"");
    project.write("Presence/function.json", &json);
    project.visit().finds_only(
        "Presence",
        "does not serve POST /api/presence",
        "take the folder Presence away",
    );
}

#[test]
fn two_functions_on_one_route_stop_the_host() {
    let project = Project::cloned();
    project.write("Negotiate2/function.json", &crate::support::repository("negotiate/function.json"));
    project.visit().finds_only("routes", "does not start with both", "another `route`");
}

#[test]
fn a_handler_that_may_not_be_executed_is_told() {
    let project = Project::package();
    project.handler(&elf(62, false), 0o644);
    project.visit().finds_only("handler", "may not be executed", "chmod +x handler");
}

#[test]
fn a_handler_for_another_processor_is_told() {
    let package = Project::package();
    package.handler(&elf(183, false), 0o755);
    package.visit().finds_only("handler", "another processor", "make package");
}

#[test]
fn a_handler_for_another_system_is_told() {
    let package = Project::package();
    package.handler(b"MZ\x90\0", 0o755);
    package.visit().finds_only("handler", "no program for Linux", "make package");
}

#[test]
fn a_handler_that_needs_libraries_does_not_belong_into_a_package() {
    let package = Project::package();
    package.handler(&elf(62, true), 0o755);
    package.visit().finds_only("handler", "is not static", "make package");
}

#[test]
fn a_project_that_is_set_up_but_not_built_is_told() {
    let project = Project::set_up(1);
    project.remove("handler");
    project.visit().finds("handler", "is not there", "cargo build && cp target/debug/handler .");
}
