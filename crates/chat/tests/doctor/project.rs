//! Tests of `chat doctor` with problems of `host.json`, the function folders and the handler's file.

use crate::test_project::{Project, Report, elf, problem_tests, repository};

/// Runs the doctor after one change of `host.json`.
fn with_host(right: &str, wrong: &str) -> Report {
    Project::cloned().change("host.json", right, wrong).run()
}

/// Runs the doctor after one change of a `function.json`.
fn with_function(name: &str, right: &str, wrong: &str) -> Report {
    Project::cloned().change(&format!("{name}/function.json"), right, wrong).run()
}

/// Runs the doctor with an additional function folder.
fn with_folder(name: &str, json: &str) -> Report {
    Project::cloned().write(&format!("{name}/function.json"), json).run()
}

/// Runs the doctor in a package with this handler.
fn with_handler(bytes: &[u8], mode: u32) -> Report {
    Project::package().handler(bytes, mode).run()
}

problem_tests! { finds_only:
    a_folder_without_host_json_is_no_function_app = Project::cloned().remove("host.json").run()
        => "host.json", "there is none", "--folder";
    a_host_json_with_a_comment_in_it_is_not_json = with_host("{\n  \"version\"", "{ // ours\n  \"version\"")
        => "host.json", "is not JSON", "git restore host.json";
    a_host_json_of_another_version_stops_the_host = with_host(r#""2.0""#, r#""2""#)
        => "host.json", "version", r#"set "version": "2.0""#;
    a_host_json_without_a_custom_handler_is_one_for_another_language = with_host("customHandler", "customHandlers")
        => "host.json", "WorkerConfig for runtime: custom not found", "git restore";
    an_executable_path_with_a_dot_is_reported = with_host(r#""handler""#, r#""./handler""#)
        => "host.json", "exactly", r#"to "handler""#;
    an_empty_executable_path_is_reported = with_host(r#""defaultExecutablePath": "handler","#, "")
        => "host.json", "does not say what to start", "defaultExecutablePath";
    a_host_that_does_not_forward_sends_envelopes = with_host(r#"Request": true"#, r#"Request": false"#)
        => "host.json", "envelopes", "enableForwardingHttpRequest to true";
    a_misspelled_proxying_switch_is_reported = Project::cloned()
        .change("host.json", r#""enableForwardingHttpRequest": true,"#, "")
        .change("host.json", "enableProxyingHttpRequest", "enableHttpProxyingRequest")
        .run()
        => "host.json", "`enableHttpProxyingRequest` is not a setting", "enableForwardingHttpRequest";
    a_route_prefix_in_the_file_alone_is_unknown_to_the_handler = with_host(r#""api""#, r#""v2""#)
        => "host.json", "routePrefix is not `api`", "AzureFunctionsJobHost__extensions__http__routePrefix";
    a_fixed_port_of_the_handler_is_reported =
        with_host(r#""customHandler": {"#, r#""customHandler": { "port": 9000,"#)
        => "host.json", "second host", "remove customHandler.port";
    routes_beside_function_folders_stop_the_host =
        with_host(r#""customHandler": {"#, r#""customHandler": { "http": { "routes": [{ "route": "x" }] },"#)
        => "host.json", "does not start with both", "remove customHandler.http";
    a_missing_function_folder_is_reported = Project::cloned().remove("SendMessage").run()
        => "SendMessage", "/api/messages is 404", "git restore SendMessage";
    an_invalid_function_json_is_reported = with_function("negotiate", "{", "")
        => "negotiate", "function.json", "git restore negotiate/function.json";
    an_additional_binding_is_reported = with_function(
        "negotiate",
        r#""bindings": ["#,
        r#""bindings": [ { "type": "signalRConnectionInfo", "direction": "in", "name": "c" },"#,
    )
        => "negotiate", "exactly two bindings", "git restore";
    a_function_that_requires_a_key_is_reported = with_function("SendMessage", r#""anonymous""#, r#""function""#)
        => "SendMessage", "authLevel", "git restore";
    a_missing_method_is_reported = with_function("negotiate", r#""post""#, r#""get""#)
        => "negotiate", "lack `post`", "git restore";
    a_function_with_another_route_is_reported = with_function("SendMessage", r#""messages""#, r#""message""#)
        => "SendMessage", "callers expect `messages`", "git restore";
    a_function_that_the_handler_does_not_serve_is_reported =
        with_folder("Presence", &repository("SendMessage/function.json").replace("messages", "presence"))
        => "Presence", "does not serve POST /api/presence", "delete the folder Presence";
    two_functions_on_one_route_stop_the_host = with_folder("Negotiate2", &repository("negotiate/function.json"))
        => "routes", "does not start with both", "another `route`";
    a_handler_that_is_not_executable_is_reported = with_handler(&elf(62, false), 0o644)
        => "handler", "not executable", "chmod +x handler";
    a_handler_for_another_processor_is_reported = with_handler(&elf(183, false), 0o755)
        => "handler", "another processor", "make package";
    a_handler_for_another_system_is_reported = with_handler(b"MZ\x90\0", 0o755)
        => "handler", "not an executable for Linux", "make package";
    a_dynamically_linked_handler_in_a_package_is_reported = with_handler(&elf(62, true), 0o755)
        => "handler", "is not static", "make package";
}

// The service does not run either, which is reported too.
problem_tests! { finds:
    a_project_that_is_set_up_but_not_built_is_reported = Project::set_up(1).remove("handler").run()
        => "handler", "does not exist", "cargo build && cp target/debug/handler .";
}

#[test]
fn a_missing_executable_is_reported() {
    with_host(r#""handler""#, r#""chat""#).skips("chat", "not built yet");
    let package = Project::package();
    package.change("host.json", r#""handler""#, r#""chat""#);
    package.run().finds_only("chat", "does not exist", "make package");
}
