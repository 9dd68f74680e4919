//! Tests of the log with an output that takes no lines: a pipe that is not read, a closed pipe, a full disk.

use std::io::PipeReader;
use std::net::{Ipv4Addr, TcpStream};

use test_support::http::{client, free_port, send_many};
use test_support::process::{BadOutput, Output, Process, wait_until};

use crate::test_app::handler_command;

/// Starts a handler with `output`, and sends `requests` to `path`, which does not exist. Each is a line, of which 300 fit into a pipe.
async fn send_requests(output: BadOutput, format: &str, path: &str, requests: usize) -> (Process, Option<PipeReader>) {
    let port = free_port();
    let text = port.to_string();
    let settings = [
        ("FUNCTIONS_CUSTOMHANDLER_PORT", text.as_str()),
        ("AzureSignalRConnectionString", "Endpoint=http://127.0.0.1:1;AccessKey=a-key;Version=1.0;"),
        ("ChatLogFormat", format),
    ];
    let (handler, reader) = Process::spawn_with(&mut handler_command(&[], &settings), output);
    wait_until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
    let request = client().get(format!("http://127.0.0.1:{port}{path}"));
    assert_eq!(send_many(&request, requests).await, [(404, requests)].into(), "{output:?}");
    (handler, reader)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_the_end_do_not_wait_for_an_output_that_takes_no_lines() {
    for (output, requests) in [(BadOutput::NeverRead, 10_000), (BadOutput::Closed, 320), (BadOutput::FullDisk, 320)] {
        let (mut handler, _unread) = send_requests(output, "plain", "/api/unknown", requests).await;
        handler.signal("TERM");
        assert_eq!(handler.end().code(), Some(0), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_lines_are_counted_in_a_line_of_the_log_once_it_is_read() {
    // Two megabytes of lines, where one waits at most.
    let (path, requests) = (format!("/api/{}", "x".repeat(2_000)), 1_600);
    for (format, start) in [("plain", "20"), ("json", "{\"timestamp\":\"20")] {
        let (mut handler, unread) = send_requests(BadOutput::NeverRead, format, &path, requests).await;
        let output = Output::of(unread.unwrap());
        let report = output.line("lines of standard output were lost");
        handler.signal("TERM");
        handler.end();
        output.line("told to stop");
        let text = output.text();
        assert!(text.lines().all(|line| line.starts_with(start)), "{report}");
        let (before, _) = report.split_once(" lines of").unwrap();
        let lost: usize = before.rsplit(|char: char| !char.is_ascii_digit()).next().unwrap().parse().unwrap();
        let written = text.lines().filter(|line| line.contains("/api/xxx")).count();
        assert_eq!(written + lost, requests, "{report}");
    }
}
