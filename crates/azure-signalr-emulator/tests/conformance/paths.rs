//! Paths in any letter case, with and without a slash at the end, and the endpoints that are not emulated.

use reqwest::Method;
use serde_json::json;

use crate::support::{TestService, client_token};

#[tokio::test]
async fn clients_negotiate_and_connect_in_any_letter_case() {
    let service = TestService::start().await;
    let token = client_token(json!({}));
    for path in ["/client/negotiate", "/client/negotiate/", "/CLIENT/Negotiate", "/Client/NEGOTIATE/"] {
        let request = service.request(Method::POST, &format!("{path}?hub=chat")).bearer_auth(&token);
        assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
        let get = service.request(Method::GET, path).send().await.unwrap();
        assert_eq!(get.status(), 405, "{path}");
    }
    for path in ["/client", "/client/", "/Client", "/CLIENT/"] {
        let (_, id) = service.negotiated_ids(&token).await;
        let mut client = service.connect(&format!("{path}?hub=chat&id={id}"), &token).await;
        service.broadcast(path).await;
        assert_eq!(client.receive_argument().await, path);
    }
    for path in ["/client//", "/client/negotiate//", "/clients/", "/client/negotiate/x"] {
        let response = service.request(Method::POST, &format!("{path}?hub=chat")).bearer_auth(&token).send().await;
        assert_eq!(response.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test]
async fn callers_use_any_letter_case_except_in_names() {
    let service = TestService::start().await;
    let mut ann = service.user("Ann").await;
    let message = json!({"target": "t", "arguments": ["x"]});
    for (path, expected) in [
        ("/api/v1/hubs/chat/users/Ann", 202),
        ("/Api/V1/Hubs/Chat/Users/Ann/", 202),
        ("/API/HUBS/CHAT/USERS/Ann/:SEND?API-VERSION=2024-12-01", 202),
        ("/API/hubs/chat/users/Ann/:sing?api-version=2024-12-01", 404),
        ("/API/hubs/chat/users/Ann//:send?api-version=2024-12-01", 404),
    ] {
        assert_eq!(service.send(path, &message).await, expected, "{path}");
        if expected == 202 {
            assert_eq!(ann.receive_argument().await, "x", "{path}");
        }
    }
    for (user, expected) in [("Ann", 200), ("ann", 404), ("ANN", 404)] {
        let path = format!("/API/Hubs/Chat/Users/{user}?api-version=2024-12-01");
        assert_eq!(service.call(Method::HEAD, &path).send().await.unwrap().status(), expected, "{user}");
    }
    // Errors of v1 are plain text, in any letter case.
    let error = service.call(Method::POST, "/API/V1/hubs/1").json(&message).send().await.unwrap();
    assert!(error.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
}

#[tokio::test]
async fn endpoints_of_other_modes_say_that_they_are_not_emulated() {
    let service = TestService::start().await;
    for (path, expected) in [
        ("/server", "Persistent mode"),
        ("/server/", "Persistent mode"),
        ("/server/?hub=chat", "Persistent mode"),
        ("/server/negotiate?hub=chat", "Persistent mode"),
        ("/Server/Negotiate/", "Persistent mode"),
        ("/SERVER/a/b/c", "Persistent mode"),
        ("/aspnetserver", "ASP.NET SignalR"),
        ("/aspnetserver/", "ASP.NET SignalR"),
        ("/AspNetServer/negotiate", "ASP.NET SignalR"),
        ("/aspnetclient", "ASP.NET SignalR"),
        ("/aspnetclient/?hub=chat", "ASP.NET SignalR"),
        ("/AspNetClient/connect/x", "ASP.NET SignalR"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "SING"] {
            let method: Method = method.parse().unwrap();
            let response = service.request(method.clone(), path).send().await.unwrap();
            assert_eq!(response.status(), 501, "{method} {path}");
            assert_eq!(response.headers()["x-ms-error-code"], "NotEmulated");
            let text = response.text().await.unwrap();
            assert!(text.starts_with(expected) && text.ends_with("this emulator does not"), "{method} {path}: {text}");
        }
        assert_eq!(service.request(Method::HEAD, path).send().await.unwrap().status(), 501, "HEAD {path}");
    }
    for path in ["/servers", "/aspnet", "/aspnetclients/negotiate"] {
        assert_eq!(service.request(Method::POST, path).send().await.unwrap().status(), 404, "{path}");
    }
}
