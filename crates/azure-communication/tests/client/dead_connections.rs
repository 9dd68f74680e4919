//! Calls over a connection that died without a sign.

use azure_communication::{Client, ErrorKind};
use test_support::tcp_proxy::TcpProxy;

use crate::test_service::{Reply, TOKEN_BODY, USER, client, issue, listen, now, reply, user};

/// A client with one connection in its pool, which is dead, and the replies to what comes next.
async fn with_dead_connection(script: impl IntoIterator<Item = Reply>) -> (Client, TcpProxy) {
    let (port, _service) = listen([reply(200, TOKEN_BODY)].into_iter().chain(script)).await;
    let proxy = TcpProxy::start(port).await;
    let client = client(proxy.port());
    issue(&client).await.unwrap();
    proxy.swallow_open_connections();
    (client, proxy)
}

#[tokio::test]
async fn a_dead_connection_costs_a_repeatable_call_one_attempt() {
    let issued = async {
        let (client, proxy) = with_dead_connection([reply(200, TOKEN_BODY)]).await;
        issue(&client).await.unwrap();
        proxy.connections()
    };
    let revoked = async {
        let (client, proxy) = with_dead_connection([reply(204, "")]).await;
        client.revoke_tokens(&user(), now()).await.unwrap();
        proxy.connections()
    };
    let deleted = async {
        let (client, proxy) = with_dead_connection([reply(404, "")]).await;
        client.delete_user(&user(), now()).await.unwrap();
        proxy.connections()
    };
    assert_eq!(tokio::join!(issued, revoked, deleted), (2, 2, 2));
}

#[tokio::test]
async fn a_create_which_cannot_be_repeated_is_sent_on_no_connection_that_may_be_dead() {
    let created = reply(201, &format!(r#"{{"identity":{{"id":"{USER}"}}}}"#));
    let (client, proxy) = with_dead_connection([created, reply(403, "")]).await;
    assert_eq!(client.create_user(now()).await.unwrap(), user());
    assert_eq!(client.create_user(now()).await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(proxy.connections(), 2);
}
