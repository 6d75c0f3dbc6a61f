//! The buffer of sources whose senders do not wait: through kills, with a sink that is away, and when it is full.

use std::{
    fs,
    net::UdpSocket,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    common::repository,
    run_elastic::opensearch,
    run_forward::{shippers, start},
    run_plane::{PATIENCE, Plane, Site, by_id},
};

const OVER_UDP: &str = "listening for syslog over UDP";
const DEAD: &str = "{elastic: {hosts: ['http://127.0.0.1:1']}}";

fn settings(source: &str, sink: &str) -> String {
    format!("sources: {{in: {source}}}\nsinks: {{out: {sink}}}\n")
}

/// The queue of the port, in bytes, and what the system dropped there.
fn system_queue(port: u16) -> (u64, u64) {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let own = table.lines().find(|line| line.contains(&format!(":{port:04X} "))).unwrap();
    let columns: Vec<_> = own.split_whitespace().collect();
    let waiting = columns[4].split(':').nth(1).unwrap();
    (u64::from_str_radix(waiting, 16).unwrap(), columns[12].parse().unwrap())
}

/// Sends numbered datagrams, no faster than the system takes them.
fn flood(port: u16, numbers: std::ops::Range<u32>, length: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let filling = "x".repeat(length);
    for number in numbers {
        while number % 16 == 0 && system_queue(port).0 > 30_000 {
            thread::sleep(Duration::from_millis(1));
        }
        let message = format!("<14>1 2026-01-15T10:30:45Z h app - - - request {number} served {filling}");
        socket.send_to(message.as_bytes(), ("127.0.0.1", port)).unwrap();
    }
    assert_eq!(system_queue(port).1, 0, "the system dropped datagrams");
}

/// Waits until nothing is received and nothing written any more.
fn settled(site: &Site, port: u16) {
    let file = site.path("data/buffers/in.redb");
    let (began, mut quiet) = (Instant::now(), Instant::now());
    let mut last = None;
    while quiet.elapsed() < Duration::from_millis(500) {
        assert!(began.elapsed() < PATIENCE);
        let now = (system_queue(port), fs::metadata(&file).unwrap().modified().unwrap());
        if last.replace(now) != Some(now) {
            quiet = Instant::now();
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn datagrams_survive_kills_while_the_sink_is_away() {
    let server = opensearch();
    server.kill();
    let sink =
        format!("{{elastic: {{hosts: ['http://127.0.0.1:{}'], index: 'buffered-%Y.%m.%d'}}}}", server.port);
    let site = Site::new(&settings("{syslog: {udp: '127.0.0.1:0', buffer: {mebibytes: 64}}}", &sink));
    for round in 0..3 {
        let (plane, port) = start(&site, OVER_UDP);
        flood(port, 5000 * round..5000 * (round + 1), 100);
        settled(&site, port);
        // SIGKILL.
        drop(plane);
    }
    server.start();
    for milliseconds in [300, 700, 1500] {
        let plane = site.start();
        thread::sleep(Duration::from_millis(milliseconds));
        drop(plane);
    }
    let mut plane = site.start();
    server.wait_for("buffered-2026.01.15", 15_000);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn a_full_buffer_counts_what_it_drops() {
    let source = "{syslog: {udp: '127.0.0.1:0', buffer: {mebibytes: 1}}}";
    let site = Site::new(&settings(source, DEAD));
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap();
    fs::write(site.path("logrisk.yaml"), text.replace("grace_secs: 30", "grace_secs: 3")).unwrap();
    let (mut plane, port) = start(&site, OVER_UDP);
    flood(port, 0..4000, 1000);
    settled(&site, port);
    plane.terminate();
    let lines = plane.log_lines();
    let dropped = counted(&lines, "datagrams were dropped", "total");
    assert!((2500..3500).contains(&dropped), "{lines:?}");
    site.set(&settings(source, "{file: {path: '{dir}/out', sync: false}}"));
    let mut plane = site.start();
    site.wait_for("out", 4000 - dropped);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    assert_eq!(by_id(site.documents("out")).len(), 4000 - dropped, "sent = written + dropped");
    assert_eq!(site.documents("out").len(), 4000 - dropped, "what was delivered was removed");
}

/// The sum of what log lines with these words count under that name; a counter that goes on counts once, at its last.
fn counted(lines: &[String], words: &str, name: &str) -> usize {
    let line = lines.iter().rev().find(|line| line.contains(words));
    let number =
        line.and_then(|line| line.split(&format!("{name}=")).nth(1)?.split(' ').next()?.parse().ok());
    number.unwrap_or(0)
}

#[test]
fn a_disk_that_takes_no_more_is_counted_too() {
    let source = "{syslog: {udp: '127.0.0.1:0', buffer: {mebibytes: 64}}}";
    let site = Site::new(&settings(source, DEAD));
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap();
    fs::write(site.path("logrisk.yaml"), text.replace("grace_secs: 30", "grace_secs: 3")).unwrap();
    let own = site.command();
    let mut command = Command::new("bash");
    // No file may be larger than 4 MiB, and a larger one is an error instead of the end.
    command.args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""]).arg(own.get_program());
    command.args(own.get_args()).env("LOGRISK_MODEL", "mini").env("NO_COLOR", "1");
    let mut plane = Plane::start(&mut command);
    let line = plane.wait_for_log(OVER_UDP);
    let port = line.split("address=127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    flood(port, 0..30_000, 1000);
    plane.wait_for_log("the buffer cannot be written");
    plane.terminate();
    let lines = plane.log_lines();
    let lost =
        counted(&lines, "datagrams were dropped", "total") + counted(&lines, "records are lost", "records");
    assert!(lost > 10_000, "{lines:?}");
    site.set(&settings(source, "{file: {path: '{dir}/out', sync: false}}"));
    let mut plane = site.start();
    site.wait_for("out", 30_000 - lost);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    assert_eq!(by_id(site.documents("out")).len(), 30_000 - lost, "sent = written + counted");
}

#[test]
fn forward_without_acknowledgements_survives_a_kill() {
    let source = "{forward: {address: '127.0.0.1:0', buffer: {mebibytes: 16}}}";
    let site = Site::new(&settings(source, DEAD));
    let (plane, port) = start(&site, "listening for the forward protocol");
    let python = shippers("python").join("venv/bin/python");
    let script = repository("tests/servers/forward.py");
    let status = Command::new(python).args([script, port.to_string(), "100".to_owned()]).status();
    assert!(status.unwrap().success());
    let file = site.path("data/buffers/in.redb");
    let (began, mut last) = (Instant::now(), None);
    // Written, and quiet for half a second.
    loop {
        let now = fs::metadata(&file).unwrap().modified().unwrap();
        if last.replace(now) == Some(now) && now.elapsed().unwrap() > Duration::from_millis(500) {
            break;
        }
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(20));
    }
    drop(plane);
    site.set(&settings(source, "{file: {path: '{dir}/out', sync: false}}"));
    let mut plane = site.start();
    assert_eq!(site.wait_for("out", 100).len(), 100);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}
