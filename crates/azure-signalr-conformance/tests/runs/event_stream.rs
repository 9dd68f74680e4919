//! The case of Server-Sent Events against a service that sends its stream in pieces of any size.

use std::sync::Arc;

use azure_signalr_conformance::{Options, Outcome, run};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::connection_string;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_read_to_its_end_in_however_many_pieces_it_comes() {
    for piece_bytes in [1, 2, 5, 100] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connection = connection_string(listener.local_addr().unwrap().port());
        let server = tokio::spawn(serve(listener, piece_bytes));
        let options = Options { cases: "sse-handshake".parse().unwrap(), ..Options::new(connection) };
        let report = run(options, |_| ()).await.unwrap();
        server.abort();
        assert_eq!(report.cases[0].outcome, Outcome::Passed, "in pieces of {piece_bytes} bytes");
    }
}

/// Serves one client of Server-Sent Events: a negotiation, the stream, and a POST with the handshake.
async fn serve(listener: TcpListener, piece_bytes: usize) {
    let handshake = Arc::new(Notify::new());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(respond(stream, piece_bytes, handshake.clone()));
    }
}

async fn respond(stream: TcpStream, piece_bytes: usize, handshake: Arc<Notify>) {
    let mut stream = BufReader::new(stream);
    let (mut head, mut body_bytes) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        stream.read_line(&mut head).await.unwrap();
        if let Some(length) = head[start..].to_lowercase().strip_prefix("content-length:") {
            body_bytes = length.trim().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; body_bytes]).await.unwrap();
    if head.starts_with("POST /client/negotiate") {
        let ids = r#"{"negotiateVersion":1,"connectionId":"id","connectionToken":"token","availableTransports":[]}"#;
        let response = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{ids}", ids.len());
        stream.write_all(response.as_bytes()).await.unwrap();
    } else if head.starts_with("POST /client/") {
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        handshake.notify_one();
    } else {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache, no-store\r\n\
                    Pragma: no-cache\r\nContent-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        send_in_pieces(&mut stream, ":\r\n", piece_bytes).await;
        handshake.notified().await;
        send_in_pieces(&mut stream, "data: {}\u{1e}\r\n\r\n", piece_bytes).await;
        // The stream stays open until the client closes it.
        while stream.read_u8().await.is_ok() {}
    }
}

/// Sends a text in HTTP chunks, which the client receives one by one.
async fn send_in_pieces(stream: &mut BufReader<TcpStream>, text: &str, piece_bytes: usize) {
    for piece in text.as_bytes().chunks(piece_bytes) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&chunk).await.unwrap();
    }
}
