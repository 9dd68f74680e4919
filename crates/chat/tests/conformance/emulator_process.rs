//! The process `chat emulator` under a supervisor that restarts it on the same port when it ends.
//!
//! Killing the process therefore restarts it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// The maximum time for the process to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Restarts the emulator in a loop and writes the id of the current process into the file `pid`.
const SUPERVISOR: &str = r#"while :; do "$@" & echo $! >pid.new; mv pid.new pid; wait $!; done"#;

/// A supervised emulator; dropping it ends supervisor and emulator.
pub(crate) struct EmulatorProcess {
    supervisor: Child,
    folder: PathBuf,
    port: u16,
}

/// A port that is not in use.
pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

impl EmulatorProcess {
    /// Starts `chat emulator` with additional arguments in a temporary folder and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("conformance-{}", Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor", env!("CARGO_BIN_EXE_chat"), "emulator", "--port"])
            .arg(port.to_string())
            .args(arguments)
            .current_dir(&folder)
            .env_remove("AzureSignalRConnectionString")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { supervisor, folder, port };
        process.wait_until_it_listens();
        process
    }

    fn wait_until_it_listens(&self) {
        let start = Instant::now();
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(start.elapsed() < START_TIMEOUT, "the emulator does not listen");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The connection string with the well-known key of the official emulator.
    pub(crate) fn connection_string(&self) -> String {
        let key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
        format!("Endpoint=http://localhost;Port={};AccessKey={key};Version=1.0;", self.port)
    }

    pub(crate) fn restart_command(&self) -> String {
        format!("kill -KILL \"$(cat '{}')\"", self.folder.join("pid").display())
    }
}

impl Drop for EmulatorProcess {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        let _ = Command::new("sh").args(["-c", &self.restart_command()]).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
