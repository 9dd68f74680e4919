//! Checks the function folders: the host must find in them what the page calls and the handler serves.
//!
//! Which routes are served is read from the app itself, in this process, so there is no second list of routes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use azure_signalr::{ConnectionString, Hub};
use serverless_chat::app::{AppParts, app};
use serverless_chat::auth::{AuthConfig, Trust};
use serverless_chat::config::{AllowedRooms, DEFAULT_ROUTE_PREFIX};
use serverless_chat::error::Error;
use serverless_chat::telemetry::Export;
use tower::ServiceExt as _;

use super::files::read_text;
use super::report::Finding;
use crate::functions_host::Function;

/// Reads every `function.json` one level below `folder`, by the name of its folder.
pub(super) fn read(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let files = entries.filter_map(|entry| {
        let text = read_text(&entry.path().join("function.json")).ok()?;
        Some((entry.file_name().into_string().ok()?, text))
    });
    files.collect()
}

/// Checks the text of each `function.json`, by the name of its folder.
pub(super) async fn check(files: &BTreeMap<String, String>) -> Vec<Finding> {
    let required = Function::of_repository();
    let mut findings: Vec<_> =
        required.iter().filter(|function| !files.contains_key(&function.name)).map(missing).collect();
    let mut functions = Vec::new();
    for (name, text) in files {
        let required = required.iter().find(|function| &function.name == name);
        match Function::parse(name, text) {
            Ok(function) => {
                findings.push(check_function(&function, required).await);
                functions.push(function);
            }
            Err(error) => findings.push(Finding::problem(name, error.to_string(), fix(name, required))),
        }
    }
    if let Err(conflict) = Function::check_conflicts(&functions) {
        let problem = format!("{conflict}; the host does not start with both");
        findings.push(Finding::problem("routes", problem, "give one of them another `route`, or delete its folder"));
    }
    findings
}

fn missing(required: &Function) -> Finding {
    let Function { name, route, .. } = required;
    let problem = format!("there is no {name}/function.json, so /api/{route} is 404");
    Finding::problem(name, problem, format!("git restore {name}"))
}

/// The repository has the right file for its own functions only.
fn fix(name: &str, required: Option<&Function>) -> String {
    match required {
        Some(_) => format!("git restore {name}/function.json"),
        None => format!("correct {name}/function.json, or delete the folder {name}"),
    }
}

/// Checks a valid function; `required` is this repository's version of it.
async fn check_function(function: &Function, required: Option<&Function>) -> Finding {
    let Function { name, route, .. } = function;
    let problem = |what| Finding::problem(name, what, fix(name, required));
    if let Some(required) = required {
        if !function.is_at(&format!("/api/{}", required.route)) {
            return problem(format!("its route is `{route}`, and callers expect `{}`", required.route));
        }
        let missing = required.methods.iter().flatten().find(|method| !function.allows(method));
        if let Some(method) = missing {
            let method = method.as_str().to_ascii_lowercase();
            return problem(format!("its methods lack `{method}`, so the host answers 404 to it"));
        }
    }
    match unserved_method(function).await {
        Some(method) => problem(format!("the handler does not serve {method} /api/{route}")),
        None => Finding::ok(name, format!("{} /api/{route}", methods(function))),
    }
}

fn methods(function: &Function) -> String {
    let listed =
        function.methods.as_ref().map(|methods| methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", "));
    listed.unwrap_or_else(|| "every method".to_owned())
}

/// A method of `function` that the handler answers with not found or method not allowed.
async fn unserved_method(function: &Function) -> Option<Method> {
    let (app, route) = (handler(), &function.route);
    // A file without a list allows all methods: then it is enough that one is served.
    let (methods, required_count) = match &function.methods {
        Some(methods) => (&methods[..], methods.len()),
        None => (&[Method::POST, Method::GET][..], 1),
    };
    let mut unserved = Vec::new();
    for method in methods.iter().filter(|method| **method != Method::OPTIONS) {
        let request = Request::builder().method(method).uri(format!("/{DEFAULT_ROUTE_PREFIX}/{route}"));
        let request = request.body(Body::empty()).expect("a parsed route is a valid path");
        let Ok(response) = app.clone().oneshot(request).await;
        // Not the status: a function that is disabled here is 404 too.
        let error = response.extensions().get::<Arc<Error>>().map(AsRef::as_ref);
        if matches!(error, Some(Error::NotFound | Error::MethodNotAllowed)) {
            unserved.push(method.clone());
        }
    }
    if methods.len() - unserved.len() >= required_count { None } else { unserved.into_iter().next() }
}

/// The app over a service that is never called: without a body nothing is sent, and tokens are signed locally.
fn handler() -> Router {
    let unused: ConnectionString = "Endpoint=http://localhost:1;AccessKey=none".parse().expect("an address and a key");
    let hub = Hub::new(&unused, &"chat".parse().expect("a hub name")).expect("its roots are compiled in");
    let auth = AuthConfig { trust: Trust::Untrusted, validator: None, allow_anonymous: true, identity_provider: None };
    let rooms = AllowedRooms::Any;
    let parts =
        AppParts { hub, tokens: None, auth, message_rate: None, rooms, history: None, export: Export::default() };
    app(parts, DEFAULT_ROUTE_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions_host::REPOSITORY_FILES;

    fn files() -> BTreeMap<String, String> {
        REPOSITORY_FILES.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
    }

    async fn problems(files: BTreeMap<String, String>) -> Vec<Finding> {
        check(&files).await.into_iter().filter(Finding::is_problem).collect()
    }

    #[tokio::test]
    async fn the_folders_of_this_repository_have_no_problem() {
        assert_eq!(problems(files()).await, []);
        assert_eq!(check(&files()).await.len(), REPOSITORY_FILES.len());
    }

    #[tokio::test]
    async fn a_function_for_all_methods_needs_one_that_is_served() {
        let mut files = files();
        let all = files["negotiate"].replace(r#""methods": ["post"],"#, "");
        files.insert("negotiate".to_owned(), all.clone());
        assert_eq!(problems(files.clone()).await, []);
        files.insert("Surprise".to_owned(), all.replace("\"route\": \"negotiate\"", "\"route\": \"surprise\""));
        assert!(format!("{:?}", problems(files).await).contains("does not serve POST /api/surprise"));
    }

    #[tokio::test]
    async fn another_function_is_not_restored_from_this_repository() {
        let mut files = files();
        files.insert("Surprise".to_owned(), "{}".to_owned());
        let printed = format!("{:?}", problems(files).await);
        assert!(printed.contains("delete the folder Surprise") && !printed.contains("git"), "{printed}");
    }
}
