//! The `journald` source: a real journal, read by the real `journalctl`, through kills.

use std::{
    io::Write as _,
    ops::Range,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    common::{repository, run},
    run_plane::Site,
};

/// Appends entries to a journal's file.
fn log(folder: &Path, numbers: Range<u64>) {
    let cache = Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/logrisk-servers");
    std::fs::create_dir_all(folder).unwrap();
    let mut entries = Vec::new();
    for number in numbers {
        let (time, boot) = (1_768_473_045_123_456 + number, "0123456789abcdef0123456789abcdef");
        write!(
            entries,
            "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={number}\n_BOOT_ID={boot}\n_MACHINE_ID={boot}\n\
             PRIORITY=4\n_HOSTNAME=h\n_SYSTEMD_UNIT=shop.service\nORDER_ID={number}\nMESSAGE\n"
        )
        .unwrap();
        // Bytes that are no text: journalctl writes them as numbers.
        let message = [format!("payment {number} is slow \x1b[31m").as_bytes(), &[0xff]].concat();
        entries.extend((message.len() as u64).to_le_bytes());
        entries.extend(message);
        entries.extend(b"\n\n");
    }
    let mut script = Command::new(repository("tests/servers/journal.sh"))
        .arg(cache)
        .arg(folder.join("system.journal"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(&entries).unwrap();
    assert!(
        script.wait().unwrap().success(),
        "tests/servers/journal.sh failed; it needs Debian's packages and systemd"
    );
}

#[test]
fn the_journal_is_followed_and_read_on_after_kills() {
    let site = Site::new(
        "sources: {journal: {journald: {directory: '{dir}/journal'}}}\nsinks: {out: {file: {path: '{dir}/out', sync: false}}}\n",
    );
    let folder = site.path("journal");
    log(&folder, 0..3000);
    let checked = run(&["check", site.path("logrisk.yaml").to_str().unwrap()], "");
    assert!(checked.stdout.contains("reads the journal"), "{}{}", checked.stdout, checked.stderr);
    for step in 0..15 {
        let plane = site.start();
        thread::sleep(Duration::from_millis(100 + step * 25));
        drop(plane);
        log(&folder, 3000 + step * 100..3100 + step * 100);
    }
    let mut plane = site.start();
    let found = site.wait_for("out", 4500);
    // What comes while it runs is followed.
    log(&folder, 4500..4600);
    let found = if found.len() < 4600 { site.wait_for("out", 4600) } else { found };
    assert_eq!(found.len(), 4600);
    let numbers =
        found.values().map(|one| one["journald.order_id"].as_str().unwrap().parse::<u64>().unwrap());
    assert_eq!(numbers.sum::<u64>(), (0..4600).sum::<u64>());
    let one = found.values().find(|one| one["journald.order_id"] == "7").unwrap();
    assert!(one["message"].as_str().unwrap().starts_with("payment 7 is slow"), "{one}");
    assert_eq!(
        (&one["@timestamp"], &one["log.level"], &one["host.name"], &one["systemd.unit"]),
        (&json!("2026-01-15T10:30:45.123Z"), &json!("warning"), &json!("h"), &json!("shop.service"))
    );
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    // Nothing is read twice after an orderly end.
    let before = site.documents("out").len();
    let mut plane = site.start();
    log(&folder, 4600..4601);
    site.wait_for("out", 4601);
    assert_eq!((site.documents("out").len(), plane.terminate()), (before + 1, Some(0)));
}

#[test]
fn a_missing_journalctl_is_named() {
    let site = Site::new(
        "sources: {journal: {journald: {command: /no/journalctl}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    let mut plane = site.start();
    plane.wait_for_log("could not run /no/journalctl");
    assert_eq!(plane.wait(), Some(1));
}
