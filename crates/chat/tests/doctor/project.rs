//! Tests of `chat doctor` with problems of `host.json`, the function folders and the handler's file.

use crate::test_project::{Project, Report, elf};

/// Runs the doctor after one change of `host.json`.
fn with_host(right: &str, wrong: &str) -> Report {
    let project = Project::cloned();
    project.change("host.json", right, wrong);
    project.run()
}

/// Runs the doctor after one change of a `function.json`.
fn with_function(name: &str, right: &str, wrong: &str) -> Report {
    let project = Project::cloned();
    project.change(&format!("{name}/function.json"), right, wrong);
    project.run()
}

#[test]
fn a_folder_without_host_json_is_no_function_app() {
    let project = Project::cloned();
    project.remove("host.json");
    project.run().finds_only("host.json", "there is none", "--folder");
}

#[test]
fn a_host_json_with_a_comment_in_it_is_not_json() {
    with_host("{\n  \"version\"", "{ // ours\n  \"version\"")
        .finds_only("host.json", "is not JSON", "git restore host.json");
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
fn a_missing_executable_is_reported() {
    with_host("\"handler\"", "\"chat\"").skips("chat", "not built yet");
    let package = Project::package();
    package.change("host.json", "\"handler\"", "\"chat\"");
    package.run().finds_only("chat", "does not exist", "make package");
}

#[test]
fn an_executable_path_with_a_dot_is_reported() {
    with_host("\"handler\"", "\"./handler\"").finds_only("host.json", "exactly", "to \"handler\"");
}

#[test]
fn an_empty_executable_path_is_reported() {
    with_host("\"defaultExecutablePath\": \"handler\",", "")
        .finds_only("host.json", "does not say what to start", "defaultExecutablePath");
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
fn a_misspelled_proxying_switch_is_reported() {
    let project = Project::cloned();
    project.change("host.json", "\"enableForwardingHttpRequest\": true,", "");
    project.change("host.json", "enableProxyingHttpRequest", "enableHttpProxyingRequest");
    project.run().finds_only(
        "host.json",
        "`enableHttpProxyingRequest` is not a setting",
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
fn a_fixed_port_of_the_handler_is_reported() {
    with_host("\"customHandler\": {", "\"customHandler\": { \"port\": 9000,")
        .finds_only("host.json", "second host", "remove customHandler.port");
}

#[test]
fn routes_beside_function_folders_stop_the_host() {
    let wrong = "\"customHandler\": { \"http\": { \"routes\": [{ \"route\": \"x\" }] },";
    with_host("\"customHandler\": {", wrong)
        .finds_only("host.json", "does not start with both", "remove customHandler.http");
}

#[test]
fn a_missing_function_folder_is_reported() {
    let project = Project::cloned();
    project.remove("SendMessage");
    project.run().finds_only("SendMessage", "/api/messages is 404", "git restore SendMessage");
}

#[test]
fn an_invalid_function_json_is_reported() {
    with_function("negotiate", "{", "").finds_only("negotiate", "function.json", "git restore negotiate/function.json");
}

#[test]
fn an_additional_binding_is_reported() {
    let wrong = "\"bindings\": [ { \"type\": \"signalRConnectionInfo\", \"direction\": \"in\", \"name\": \"c\" },";
    with_function("negotiate", "\"bindings\": [", wrong).finds_only("negotiate", "exactly two bindings", "git restore");
}

#[test]
fn a_function_that_requires_a_key_is_reported() {
    with_function("SendMessage", "\"anonymous\"", "\"function\"").finds_only("SendMessage", "authLevel", "git restore");
}

#[test]
fn a_missing_method_is_reported() {
    with_function("negotiate", "\"post\"", "\"get\"").finds_only("negotiate", "lack `post`", "git restore");
}

#[test]
fn a_function_with_another_route_is_reported() {
    with_function("SendMessage", "\"messages\"", "\"message\"")
        .finds_only("SendMessage", "callers expect `messages`", "git restore");
}

#[test]
fn a_function_that_the_handler_does_not_serve_is_reported() {
    let project = Project::cloned();
    let json = crate::test_project::repository("SendMessage/function.json").replace("\"messages\"", "\"presence\"");
    project.write("Presence/function.json", &json);
    project.run().finds_only("Presence", "does not serve POST /api/presence", "delete the folder Presence");
}

#[test]
fn two_functions_on_one_route_stop_the_host() {
    let project = Project::cloned();
    project.write("Negotiate2/function.json", &crate::test_project::repository("negotiate/function.json"));
    project.run().finds_only("routes", "does not start with both", "another `route`");
}

#[test]
fn a_handler_that_is_not_executable_is_reported() {
    let project = Project::package();
    project.handler(&elf(62, false), 0o644);
    project.run().finds_only("handler", "not executable", "chmod +x handler");
}

#[test]
fn a_handler_for_another_processor_is_reported() {
    let package = Project::package();
    package.handler(&elf(183, false), 0o755);
    package.run().finds_only("handler", "another processor", "make package");
}

#[test]
fn a_handler_for_another_system_is_reported() {
    let package = Project::package();
    package.handler(b"MZ\x90\0", 0o755);
    package.run().finds_only("handler", "not an executable for Linux", "make package");
}

#[test]
fn a_dynamically_linked_handler_in_a_package_is_reported() {
    let package = Project::package();
    package.handler(&elf(62, true), 0o755);
    package.run().finds_only("handler", "is not static", "make package");
}

#[test]
fn a_project_that_is_set_up_but_not_built_is_reported() {
    let project = Project::set_up(1);
    project.remove("handler");
    project.run().finds("handler", "does not exist", "cargo build && cp target/debug/handler .");
}
