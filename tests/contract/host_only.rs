//! The binary as it goes to Azure, without what stands in for Azure: nothing of it is left that could be switched on.
//!
//! That the search would find something is shown in `stack`, where it has to.

use crate::support::{Handler, LOCAL_ONLY, binary};

#[test]
fn nothing_that_makes_up_people_or_serves_clients_is_in_the_binary() {
    let binary = binary();
    for text in LOCAL_ONLY {
        assert!(!binary.contains(text), "{text}");
    }
    assert!(binary.contains("asrs.s.uid"), "the search finds nothing at all");
}

#[test]
fn without_a_host_it_leaves_with_78_and_says_what_is_missing() {
    let mut handler = Handler::start(&[], &[]);
    assert_eq!(handler.end().code(), Some(78));
    let said = handler.err.text();
    assert!(said.contains("FUNCTIONS_CUSTOMHANDLER_PORT") && said.contains("`local`"), "{said}");
    assert!(!handler.out.text().contains("ready"));
}

#[test]
fn it_knows_neither_the_emulator_nor_the_ports_of_the_stack() {
    for arguments in [
        &["emulator"][..],
        &["--page-port", "0"],
        &["--api-port", "0"],
        &["--signalr-port", "0"],
        &["--anonymous-tokens"],
    ] {
        let mut handler = Handler::start(arguments, &[]);
        assert_eq!(handler.end().code(), Some(64), "{arguments:?}");
    }
}
