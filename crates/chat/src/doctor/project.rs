//! The folder of the function app: reads what lies there and has it judged. Nothing is written, and nothing runs but `git ls-files`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::executable::{self, Folder, Program};
use super::finding::Finding;
use super::{functions, host_json};
use serverless_chat::config::{Env, ROUTE_PREFIX};

/// The host's own override of what it starts.
const EXECUTABLE: &str = "AzureFunctionsJobHost__customHandler__description__defaultExecutablePath";

/// What is wrong with the function app in `folder` under the settings in `env`.
pub(super) async fn look(folder: &Path, env: &Env) -> Vec<Finding> {
    let Ok(host) = read_text(&folder.join("host.json")) else {
        return vec![host_json::missing(&folder.display().to_string())];
    };
    let mut findings = host_json::judge(&host, env.get(ROUTE_PREFIX));
    findings.extend(functions::judge(&function_files(folder)).await);
    let started = env.get(EXECUTABLE).map(str::to_owned).or_else(|| host_json::executable(&host));
    findings.extend(started.map(|name| {
        let program = Program::read(&folder.join(&name)).ok();
        executable::judge(&name, program.as_ref(), kind(folder))
    }));
    findings
}

/// A file as text. One in another encoding is there all the same, and will turn out to be no JSON.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// The text of every `function.json` one level below `folder`, by the name of its folder.
fn function_files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let files = entries.filter_map(|entry| {
        let text = read_text(&entry.path().join("function.json")).ok()?;
        Some((entry.file_name().into_string().ok()?, text))
    });
    files.collect()
}

fn kind(folder: &Path) -> Folder {
    match (folder.join("Cargo.toml").exists(), folder.join("local.settings.json").exists()) {
        (false, _) => Folder::Package,
        (true, true) => Folder::Project,
        (true, false) => Folder::Untouched,
    }
}

/// Whether git keeps `file`, and will give it to whoever clones. Without git, or outside a repository, it does not.
pub(super) fn is_in_git(file: &Path) -> bool {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return false };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut git = Command::new("git");
    // A repository may name a program to watch its files with; looking should not start it.
    git.args(["-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--"])
        .arg(name)
        .current_dir(folder);
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    git.status().is_ok_and(|status| status.success())
}
