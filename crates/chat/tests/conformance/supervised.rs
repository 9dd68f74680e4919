//! The emulator as a process that is started again whenever it ends, as a supervisor would, on the same port.
//!
//! Killing it is therefore all it takes to restart it. Dropping it ends it for good.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the emulator over and over; which process it is now stands in a file.
const SUPERVISOR: &str = r#"while :; do "$@" & echo $! >pid.new; mv pid.new pid; wait $!; done"#;

pub(crate) struct Supervised {
    supervisor: Child,
    folder: PathBuf,
    port: u16,
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

impl Supervised {
    /// Starts `chat emulator` with more arguments, in a folder of its own, and waits until it listens.
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
        let supervised = Self { supervisor, folder, port };
        supervised.wait_until_it_listens();
        supervised
    }

    fn wait_until_it_listens(&self) {
        let begun = Instant::now();
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for the emulator");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// With the key that everybody's emulator has.
    pub(crate) fn connection_string(&self) -> String {
        let key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
        format!("Endpoint=http://localhost;Port={};AccessKey={key};Version=1.0;", self.port)
    }

    pub(crate) fn restart_command(&self) -> String {
        format!("kill -KILL \"$(cat '{}')\"", self.folder.join("pid").display())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        let _ = Command::new("sh").args(["-c", &self.restart_command()]).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
