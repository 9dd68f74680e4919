//! The file the host starts: there, allowed to run, and made for where it is to run.
//!
//! Azure runs it on x86-64 Linux without any promise about its libraries, so in a package it has to be one static file. Beside the
//! sources it may also be for this machine: that is what `func start` wants.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use object::elf::{EM_X86_64, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, LittleEndian};

use super::finding::Finding;

/// Where headers are, in every file a linker makes.
const HEAD: u64 = 64 * 1024;

/// What the folder is that the file should be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// What is deployed, unpacked.
    Package,
    /// The sources, set up for `func start`.
    Project,
    /// The sources, and nothing says that anybody wants to start the host here.
    Untouched,
}

/// A file, as far as it matters.
#[derive(Debug)]
pub(super) struct Program {
    executable: bool,
    head: Vec<u8>,
}

impl Program {
    /// Looks at the file at `path`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut head = Vec::new();
        File::open(path)?.take(HEAD).read_to_end(&mut head)?;
        Ok(Self { executable: is_executable(&metadata), head })
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

/// Elsewhere no bit says so, and `func` sets the one in the package.
#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    true
}

/// What a program is made for.
#[derive(Debug, PartialEq, Eq)]
enum MadeFor {
    /// Linux on x86-64; `needs_libraries` says that it is not static.
    Azure { needs_libraries: bool },
    /// Linux on another processor.
    OtherLinux,
    /// No Linux at all.
    Elsewhere,
}

fn made_for(head: &[u8]) -> MadeFor {
    let Ok(file) = FileHeader64::<LittleEndian>::parse(head) else {
        let is_elf = FileHeader64::<Endianness>::parse(head).is_ok() || head.starts_with(b"\x7fELF");
        return if is_elf { MadeFor::OtherLinux } else { MadeFor::Elsewhere };
    };
    if file.e_machine.get(LittleEndian) != EM_X86_64 {
        return MadeFor::OtherLinux;
    }
    let segments = file.program_headers(LittleEndian, head).unwrap_or_default();
    MadeFor::Azure {
        needs_libraries: segments.iter().any(|segment| segment.p_type(LittleEndian) == PT_INTERP),
    }
}

/// What is wrong with the file called `name` in `host.json`.
pub(super) fn judge(name: &str, program: Option<&Program>, folder: Folder) -> Finding {
    let build = match folder {
        Folder::Package => "make package",
        Folder::Project | Folder::Untouched => "cargo build && cp target/debug/handler .",
    };
    let Some(Program { executable, head }) = program else {
        return match folder {
            Folder::Untouched => {
                Finding::not_looked_at(name, format!("not built yet; `func start` wants it: {build}"))
            }
            _ => Finding::wrong(name, "is not there, and host.json says to start it", build),
        };
    };
    if !executable {
        let what = "may not be executed: calls would hang for two minutes, then \"Initialization timed out\"";
        return Finding::wrong(name, what, format!("chmod +x {name}"));
    }
    match (made_for(head), folder) {
        (MadeFor::Azure { needs_libraries: true }, Folder::Package) => Finding::wrong(
            name,
            "is not static: it needs the libraries of the machine it was built on",
            build,
        ),
        (MadeFor::Azure { .. }, Folder::Package) => {
            Finding::ok(name, "executable, static, for Linux on x86-64")
        }
        (MadeFor::Azure { .. }, _) => Finding::ok(name, "executable, for Linux on x86-64"),
        (_, Folder::Project | Folder::Untouched)
            if !cfg!(all(target_os = "linux", target_arch = "x86_64")) =>
        {
            Finding::ok(name, "executable; Azure wants another, from `make package`")
        }
        (MadeFor::OtherLinux, _) => {
            Finding::wrong(name, "is for another processor; here and in Azure that is x86-64", build)
        }
        (MadeFor::Elsewhere, _) => Finding::wrong(name, "is no program for Linux", build),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u8, interpreter: bool) -> Program {
        let mut head = vec![0; 64 + 56];
        head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        (head[16], head[18], head[20]) = (3, machine, 1);
        // One program header of 56 bytes right behind the header of 64.
        (head[32], head[52], head[54], head[56]) = (64, 64, 56, 1);
        head[64] = if interpreter { 3 } else { 1 };
        Program { executable: true, head }
    }

    #[test]
    fn what_it_was_made_for_is_in_its_header() {
        for (program, expected) in [
            (elf(62, false), MadeFor::Azure { needs_libraries: false }),
            (elf(62, true), MadeFor::Azure { needs_libraries: true }),
            (elf(183, true), MadeFor::OtherLinux),
            (Program { executable: true, head: b"\x7fELF\x01".to_vec() }, MadeFor::OtherLinux),
            (
                Program { executable: true, head: b"\xcf\xfa\xed\xfe\x07\0\0\x01".to_vec() },
                MadeFor::Elsewhere,
            ),
            (Program { executable: true, head: b"MZ\x90\0".to_vec() }, MadeFor::Elsewhere),
            (Program { executable: true, head: b"#!/bin/sh\n".to_vec() }, MadeFor::Elsewhere),
            (Program { executable: true, head: Vec::new() }, MadeFor::Elsewhere),
        ] {
            assert_eq!(made_for(&program.head), expected);
        }
    }

    #[test]
    fn a_package_takes_one_static_file_and_a_project_what_cargo_built() {
        assert!(!judge("handler", Some(&elf(62, false)), Folder::Package).is_wrong());
        assert!(judge("handler", Some(&elf(62, true)), Folder::Package).is_wrong());
        assert!(!judge("handler", Some(&elf(62, true)), Folder::Project).is_wrong());
    }

    #[test]
    fn a_file_that_is_not_there_is_missed_where_somebody_wants_to_start_it() {
        let missed = [Folder::Package, Folder::Project, Folder::Untouched]
            .map(|folder| judge("handler", None, folder).is_wrong());
        assert_eq!(missed, [true, true, false]);
    }
}
