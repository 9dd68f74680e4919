//! Tests of the files that the Functions host and its tools read: `host.json`, `function.json`, settings, `.funcignore`, `.vscode`.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::test_app::{TestApp, TestFolder};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn json_file(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

/// The name and the `function.json` of each function.
fn functions() -> Vec<(String, Value)> {
    let folders = fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap().map(|entry| entry.unwrap());
    let named = folders.filter(|folder| folder.path().join("function.json").exists());
    named
        .map(|folder| {
            let name = folder.file_name().into_string().unwrap();
            let function = json_file(&format!("{name}/function.json"));
            (name, function)
        })
        .collect()
}

fn trigger(function: &Value) -> &Value {
    &function["bindings"][0]
}

#[test]
fn host_json_starts_the_handler_and_forwards_requests() {
    let host = json_file("host.json");
    assert_eq!(host["version"], "2.0");
    let handler = &host["customHandler"];
    assert_eq!(handler["description"]["defaultExecutablePath"], "handler");
    assert_eq!(handler["enableForwardingHttpRequest"], true);
    assert_eq!(handler["enableProxyingHttpRequest"], true);
    assert_eq!((&handler["port"], &host["extensionBundle"]), (&Value::Null, &Value::Null));
}

#[test]
fn each_function_has_one_trigger_and_one_output() {
    let names: Vec<_> = functions().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    for (name, function) in functions() {
        let kinds: Vec<_> =
            function["bindings"].as_array().unwrap().iter().map(|b| (&b["type"], &b["direction"])).collect();
        assert_eq!(kinds, [(&json!("httpTrigger"), &json!("in")), (&json!("http"), &json!("out"))], "{name}");
        let route = trigger(&function)["route"].as_str().unwrap();
        assert!(!route.starts_with("admin") && !route.starts_with("runtime"), "{name}");
        assert_eq!(trigger(&function)["authLevel"], "anonymous", "{name}");
        for method in trigger(&function)["methods"].as_array().unwrap() {
            assert_eq!(method, &method.as_str().unwrap().to_ascii_lowercase(), "{name}");
        }
    }
}

#[tokio::test]
async fn every_declared_route_is_served() {
    // A disabled function would be 404.
    let history = TestFolder::new();
    let app = TestApp::with_signalr(
        1,
        &[
            ("AzureCommunicationServicesConnectionString", "endpoint=http://127.0.0.1:1/;accesskey=aHVzaA=="),
            ("ChatIdentityStore", &format!("http://127.0.0.1:1/account/chat-identities?{}", crate::blob_storage::SAS)),
            ("ChatHistory", history.path()),
        ],
    );
    for (name, function) in functions() {
        let path = format!("/api/{}", trigger(&function)["route"].as_str().unwrap());
        for method in trigger(&function)["methods"].as_array().unwrap() {
            let method: Method = method.as_str().unwrap().to_ascii_uppercase().parse().unwrap();
            let status = app.request(method.clone(), &path).send().await.unwrap().status().as_u16();
            assert!(![404, 405, 500].contains(&status), "{name}: {method} {path} is {status}");
        }
    }
}

#[test]
fn the_example_settings_are_valid() {
    let settings = json_file("local.settings.json.example");
    assert_eq!(settings["IsEncrypted"], false);
    assert_eq!(settings["Values"]["FUNCTIONS_WORKER_RUNTIME"], "custom");
    assert!(settings["Values"].as_object().unwrap().values().all(Value::is_string));
    let cors = settings["Host"]["CORS"].as_str().unwrap();
    assert!(!cors.contains(' ') && cors.split(',').all(|origin| !origin.ends_with('/')), "{cors}");
    let variables = settings["Values"].as_object().unwrap().iter();
    let variables = variables.map(|(name, value)| (name, value.as_str().unwrap())).collect();
    serverless_chat::config::Config::read(&variables).unwrap();
}

#[test]
fn visual_studio_code_deploys_the_output_of_make_package() {
    let (settings, tasks) = (json_file(".vscode/settings.json"), json_file(".vscode/tasks.json"));
    let before = &settings["azureFunctions.preDeployTask"];
    let task = tasks["tasks"].as_array().unwrap().iter().find(|task| task["label"] == *before).unwrap();
    assert_eq!(task["command"], "make package");
    let deployed = settings["azureFunctions.deploySubpath"].as_str().unwrap();
    assert!(read(".ci/package").contains(deployed), "{deployed}");
    for task in tasks["tasks"].as_array().unwrap() {
        let dependency = task["dependsOn"].as_str();
        assert!(dependency.is_none_or(|label| tasks.to_string().contains(&format!("\"label\":\"{label}\""))), "{task}");
    }
}

#[test]
fn funcignore_uses_plain_names_that_every_tool_understands() {
    let ignored = read(".funcignore");
    for name in [
        "local.settings.json", "target", "src", "crates", "tests", "content", "Cargo.toml", "Cargo.lock",
        "node_modules",
    ] {
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
    assert!(
        ignored.lines().all(|line| !line.is_empty() && !line.contains(['!', '#', '/', '{', '}', ','])),
        "{ignored}"
    );
    for (name, _) in functions() {
        assert!(!ignored.lines().any(|line| line == name), "{name} has to be in the package");
    }
}
