//! Calls over connections that died without a sign: a proxy swallows what is sent on them and closes none.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

use azure_http::{
    Failure, HttpClient, HttpError, HttpErrorKind, HttpOptions, Method, Request, Retry, RetryState, parse_base_url,
};
use futures_util::future::join_all;
use test_support::http::serve_first_together;
use test_support::tcp_proxy::TcpProxy;

/// A server behind the proxy, and a client of it.
struct TestEnv {
    proxy: TcpProxy,
    client: HttpClient,
}

impl TestEnv {
    /// With `pooled` idle connections for repeatable calls in the pool and `recent` for others, all of them dead.
    async fn with_dead_connections(pooled: usize, recent: usize) -> Self {
        let number = pooled + recent;
        let proxy = TcpProxy::start(serve_first_together(number).await).await;
        let env = Self { proxy, client: HttpClient::new(&HttpOptions::default()).unwrap() };
        let retries = [Retry::Idempotent].repeat(pooled).into_iter().chain([Retry::Unsafe].repeat(recent));
        for outcomes in join_all(retries.map(|retry| env.call(retry))).await {
            assert_eq!(outcomes, [Ok(200)]);
        }
        assert_eq!(env.proxy.connections(), number);
        env.proxy.swallow_open_connections();
        env
    }

    /// What came of each attempt of a call.
    async fn call(&self, retry: Retry) -> Vec<Result<u16, HttpErrorKind>> {
        let url = parse_base_url(&format!("http://127.0.0.1:{}/", self.proxy.port())).unwrap();
        let (mut state, mut outcomes) = (RetryState::start(retry), Vec::new());
        loop {
            let request = Request { connection: state.connection(), ..Request::new(Method::GET, url.clone()) };
            let attempt = async {
                let response = self.client.send(request).await?;
                let status = response.status();
                response.body(2).await?;
                Ok::<_, HttpError>(status)
            };
            let outcome = state.attempt(attempt).await.map_err(|error| error.kind());
            outcomes.push(outcome);
            match outcome {
                Err(kind) if state.wait(Failure::from(kind)).await => {}
                _ => return outcomes,
            }
        }
    }
}

#[tokio::test]
async fn dead_connections_cost_a_repeatable_call_one_attempt_however_many_there_are() {
    let one_lost = vec![Err(HttpErrorKind::TimedOut), Ok(200)];
    let rows = [
        (1, 0, Retry::Idempotent, one_lost.clone()),
        (2, 0, Retry::Idempotent, one_lost.clone()),
        (3, 0, Retry::Delete, one_lost.clone()),
        (8, 0, Retry::Idempotent, one_lost.clone()),
        (8, 0, Retry::Delete, one_lost.clone()),
        (1, 1, Retry::Idempotent, one_lost.clone()),
        (4, 8, Retry::Idempotent, one_lost.clone()),
        (0, 8, Retry::Idempotent, vec![Ok(200)]),
        (1, 0, Retry::Unsafe, vec![Ok(200)]),
        (8, 0, Retry::Unsafe, vec![Ok(200)]),
    ];
    let checks = rows.into_iter().map(async |(pooled, recent, retry, expected)| {
        let env = TestEnv::with_dead_connections(pooled, recent).await;
        assert_eq!(env.call(retry).await, expected, "{pooled} {recent} {retry:?}");
        assert_eq!(env.proxy.connections(), pooled + recent + 1);
    });
    join_all(checks).await;
}

#[tokio::test]
async fn calls_at_the_same_time_over_dead_connections_all_succeed() {
    let env = TestEnv::with_dead_connections(8, 0).await;
    for outcomes in join_all((0..16).map(|_| env.call(Retry::Idempotent))).await {
        assert!(outcomes.len() <= 2 && outcomes.last() == Some(&Ok(200)), "{outcomes:?}");
    }
}
