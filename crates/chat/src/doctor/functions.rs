//! The function folders: whether the host finds in them what the page calls and the handler serves.
//!
//! What is served is asked of the app itself, in this process, so there is no second list of routes to keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use azure_signalr::{ConnectionString, Hub};
use tower::ServiceExt as _;

use super::finding::Finding;
use crate::functions_host::Function;
use serverless_chat::app::app;
use serverless_chat::auth::{AuthConfig, Trust};
use serverless_chat::config::DEFAULT_ROUTE_PREFIX;
use serverless_chat::error::Error;
use serverless_chat::telemetry::Export;

/// What is wrong with the function folders: the text of each `function.json`, by the name of its folder.
pub(super) async fn judge(files: &BTreeMap<String, String>) -> Vec<Finding> {
    let needed = Function::of_repository();
    let mut findings: Vec<_> =
        needed.iter().filter(|function| !files.contains_key(function.name())).map(missing).collect();
    let mut read = Vec::new();
    for (name, text) in files {
        let needed = needed.iter().find(|function| function.name() == name);
        match Function::parse(name, text) {
            Ok(function) => {
                findings.push(judge_one(&function, needed).await);
                read.push(function);
            }
            Err(error) => findings.push(Finding::wrong(name, error.to_string(), mend(name, needed))),
        }
    }
    if let Err(conflict) = Function::check_conflicts(&read) {
        let what = format!("{conflict}; the host does not start with both");
        findings.push(Finding::wrong(
            "routes",
            what,
            "give one of them another `route`, or take its folder away",
        ));
    }
    findings
}

fn missing(needed: &Function) -> Finding {
    let (name, route) = (needed.name(), needed.route());
    let what = format!("there is no {name}/function.json, so /api/{route} is 404");
    Finding::wrong(name, what, format!("git restore {name}"))
}

/// The repository has the right file for its own functions; what others should be, only their authors know.
fn mend(name: &str, needed: Option<&Function>) -> String {
    match needed {
        Some(_) => format!("git restore {name}/function.json"),
        None => format!("mend {name}/function.json, or take the folder {name} away"),
    }
}

/// A function that the host takes; `needed` is what this repository says about it.
async fn judge_one(function: &Function, needed: Option<&Function>) -> Finding {
    let (name, route) = (function.name(), function.route());
    let wrong = |what| Finding::wrong(name, what, mend(name, needed));
    if let Some(needed) = needed {
        if !function.is_at(&format!("/api/{}", needed.route())) {
            return wrong(format!("its route is `{route}`, and callers look for `{}`", needed.route()));
        }
        let lost = needed.methods().unwrap_or_default().iter().find(|method| !function.takes(method));
        if let Some(method) = lost {
            return wrong(format!(
                "its methods lack `{}`, so the host answers 404 to it",
                method.as_str().to_ascii_lowercase()
            ));
        }
    }
    match unserved(function).await {
        Some(method) => wrong(format!("the handler does not serve {method} /api/{route}")),
        None => Finding::ok(name, format!("{} /api/{route}", methods(function))),
    }
}

fn methods(function: &Function) -> String {
    let listed =
        function.methods().map(|methods| methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", "));
    listed.unwrap_or_else(|| "every method".to_owned())
}

/// A method of `function` that the handler answers with "there is nothing", or "not so".
async fn unserved(function: &Function) -> Option<Method> {
    let (app, route) = (handler(), function.route());
    // A file without a list means all methods; that one of them leads somewhere is all it says.
    let (methods, enough) = match function.methods() {
        Some(methods) => (methods, methods.len()),
        None => (&[Method::POST, Method::GET][..], 1),
    };
    let mut unserved = Vec::new();
    for method in methods.iter().filter(|method| **method != Method::OPTIONS) {
        let request = Request::builder().method(method).uri(format!("/{DEFAULT_ROUTE_PREFIX}/{route}"));
        let request =
            request.body(Body::empty()).expect("routes have been read, and hold no more than paths may");
        let Ok(answer) = app.clone().oneshot(request).await;
        // Not the status: what is served and off here is a 404 too.
        let error = answer.extensions().get::<Arc<Error>>().map(AsRef::as_ref);
        if matches!(error, Some(Error::NotFound | Error::MethodNotAllowed)) {
            unserved.push(method.clone());
        }
    }
    if methods.len() - unserved.len() >= enough { None } else { unserved.into_iter().next() }
}

/// The app, over a service that is never asked: without a body nothing is sent, and access is signed here.
fn handler() -> Router {
    let nowhere: ConnectionString =
        "Endpoint=http://localhost:1;AccessKey=none".parse().expect("an address and a key");
    let hub = Hub::new(&nowhere, &"chat".parse().expect("the hub of the tutorial"))
        .expect("its roots are compiled in");
    let policy = AuthConfig { trust: Trust::Untrusted, validator: None, allow_anonymous: true };
    app(hub, None, policy, DEFAULT_ROUTE_PREFIX, Export::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> BTreeMap<String, String> {
        [
            ("negotiate", include_str!("../../../../negotiate/function.json")),
            ("SendMessage", include_str!("../../../../SendMessage/function.json")),
            ("SignalRInfo", include_str!("../../../../SignalRInfo/function.json")),
            ("AccessToken", include_str!("../../../../AccessToken/function.json")),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
    }

    async fn told(files: BTreeMap<String, String>) -> Vec<Finding> {
        judge(&files).await.into_iter().filter(Finding::is_wrong).collect()
    }

    #[tokio::test]
    async fn the_folders_of_this_repository_are_fine() {
        assert_eq!(told(files()).await, []);
        assert_eq!(judge(&files()).await.len(), 4);
    }

    #[tokio::test]
    async fn a_function_that_takes_every_method_is_fine_where_one_of_them_leads_somewhere() {
        let mut files = files();
        let all = files["negotiate"].replace(r#""methods": ["post"],"#, "");
        files.insert("negotiate".to_owned(), all.clone());
        assert_eq!(told(files.clone()).await, []);
        files.insert(
            "Surprise".to_owned(),
            all.replace("\"route\": \"negotiate\"", "\"route\": \"surprise\""),
        );
        assert!(format!("{:?}", told(files).await).contains("does not serve POST /api/surprise"));
    }

    #[tokio::test]
    async fn a_mistake_of_somebody_elses_function_is_not_mended_from_this_repository() {
        let mut files = files();
        files.insert("Surprise".to_owned(), "{}".to_owned());
        let told = format!("{:?}", told(files).await);
        assert!(told.contains("take the folder Surprise away") && !told.contains("git"), "{told}");
    }
}
