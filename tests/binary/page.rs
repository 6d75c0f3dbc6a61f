//! The page in Chromium: `tests/page` has the checks, this runs them with the binary that was just built.

use std::process::{Command, Stdio};

use crate::common::repository;

fn is_there(program: &str) -> bool {
    let tried = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn the_page_passes_its_acceptance_checks_in_chromium() {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    if let Some(missing) = ["node", "npm", &chromium].into_iter().find(|program| !is_there(program)) {
        eprintln!("the page was not checked: {missing} is missing; tests/page/run --install fetches it");
        return;
    }
    let outcome = Command::new(repository("tests/page/run"))
        .env("LOGRISK", env!("CARGO_BIN_EXE_logrisk"))
        .output()
        .unwrap();
    let (out, log) = (String::from_utf8_lossy(&outcome.stdout), String::from_utf8_lossy(&outcome.stderr));
    assert!(outcome.status.success(), "{out}\n{log}");
}
