//! The `forward` source with real senders, and with bad ones.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use rmp::encode;
use serde_json::{Value, json};

use crate::{
    common::repository,
    run_plane::{PATIENCE, Plane, Site, by_id},
};

const FORWARD: &str = "sources: {in: {forward: {address: '127.0.0.1:0'}}}\nsinks: {out: {file: {path: '{dir}/out', sync: false}}}\n";
const AWAY: &str = "sources: {in: {forward: {address: '127.0.0.1:0'}}}\nsinks: {out: {elastic: {hosts: ['http://127.0.0.1:1']}}}\n";

/// A data plane and the port that its source has found.
pub fn start(site: &Site, words: &str) -> (Plane, u16) {
    let plane = site.start();
    let line = plane.wait_for_log(words);
    let port = line.split("address=127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    (plane, port)
}

fn start_forward(site: &Site) -> (Plane, u16) {
    start(site, "listening for the forward protocol")
}

/// An authority, and certificates by it for `localhost` and for a client, as PEM files of the site.
pub fn write_certificates(site: &Site) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate whose issuer has its own name for one that signed itself.
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    fs::write(site.path("authority.pem"), parameters.self_signed(&authority_key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    for name in ["server", "client"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        fs::write(site.path(&format!("{name}.pem")), parameters.signed_by(&key, &issuer).unwrap().pem())
            .unwrap();
        fs::write(site.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// Where senders of that kind are, installed at the first call.
pub fn shippers(kind: &str) -> PathBuf {
    let cache = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/logrisk-servers");
    let status = Command::new(repository("tests/servers/shippers.sh")).arg(kind).arg(&cache).status();
    assert!(
        status.unwrap().success(),
        "tests/servers/shippers.sh {kind} failed; it needs npm, Python 3 or root"
    );
    cache.join("shippers")
}

/// Sends so many records with @fluent-org/logger and waits until all are acknowledged.
fn send_by_node(options: &Value, count: u32, patience: Duration) -> Output {
    Command::new("node")
        .arg(repository("tests/servers/forward.js"))
        .args([options.to_string(), count.to_string()])
        .env("NODE_PATH", shippers("node").join("node/node_modules"))
        .env("PATIENCE_MS", patience.as_millis().to_string())
        .output()
        .unwrap()
}

/// A packed message of these lines.
fn packed(lines: &[&str], chunk: Option<&str>) -> Vec<u8> {
    let mut entries = Vec::new();
    for line in lines {
        encode::write_array_len(&mut entries, 2).unwrap();
        encode::write_uint(&mut entries, 1_768_473_045).unwrap();
        encode::write_map_len(&mut entries, 1).unwrap();
        encode::write_str(&mut entries, "log").unwrap();
        encode::write_str(&mut entries, line).unwrap();
    }
    let mut out = Vec::new();
    encode::write_array_len(&mut out, 3).unwrap();
    encode::write_str(&mut out, "kube.app").unwrap();
    encode::write_bin(&mut out, &entries).unwrap();
    encode::write_map_len(&mut out, u32::from(chunk.is_some())).unwrap();
    if let Some(chunk) = chunk {
        encode::write_str(&mut out, "chunk").unwrap();
        encode::write_str(&mut out, chunk).unwrap();
    }
    out
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads the acknowledgement of a chunk.
fn expect_ack(stream: &mut TcpStream, chunk: &str) {
    let mut expected = vec![0x81, 0xa3, b'a', b'c', b'k', 0xa0 | chunk.len() as u8];
    expected.extend(chunk.as_bytes());
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn fluents_node_logger_is_acknowledged_in_every_mode() {
    let site = Site::new(FORWARD);
    let (mut plane, port) = start_forward(&site);
    let mut expected = 0;
    for mode in ["Message", "Forward", "PackedForward", "CompressedPackedForward"] {
        let options = json!({"eventMode": mode, "socket": {"host": "127.0.0.1", "port": port}});
        let sent = send_by_node(&options, 50, PATIENCE);
        assert!(sent.status.success(), "{mode}: {}", String::from_utf8_lossy(&sent.stderr));
        expected += 50;
        // No waiting: it is there when the acknowledgement is.
        assert_eq!(by_id(site.documents("out")).len(), expected, "{mode}");
    }
    let found = site.documents("out");
    for (name, value) in [
        ("@timestamp", "2026-01-15T10:30:45.123Z"),
        ("message", "request 0 refused"),
        ("log.level", "error"),
        ("fluent.tag", "app.shop"),
        ("kubernetes.namespace", "prod"),
        ("kubernetes.pod.name", "shop-1"),
        ("kubernetes.container.name", "web"),
        ("kubernetes.labels.app_kubernetes_io/name", "shop"),
    ] {
        assert_eq!(found[0][name], value, "{name} of {}", found[0]);
    }
    assert_eq!(plane.terminate(), Some(0));
}

#[test]
fn fluents_python_logger_is_understood() {
    let site = Site::new(FORWARD);
    let (_plane, port) = start_forward(&site);
    let python = shippers("python").join("venv/bin/python");
    let script = repository("tests/servers/forward.py");
    let status = Command::new(python).args([script, port.to_string(), "100".to_owned()]).status();
    assert!(status.unwrap().success());
    let found = site.wait_for("out", 100);
    let one = found.values().find(|document| document["message"] == "request 7 refused").unwrap();
    assert_eq!((&one["log.level"], &one["host.name"]), (&json!("warning"), &json!("h")));
}

#[test]
fn senders_show_key_password_and_certificate() {
    let site = Site::new(
        "sources:\n  in:\n    forward:\n      address: 127.0.0.1:0\n      shared_key: {file: '{dir}/key'}\n      users: {shop: {file: '{dir}/password'}}\n      \
         tls: {certificate: '{dir}/server.pem', key: '{dir}/server.key', client_authority: '{dir}/authority.pem'}\n\
         sinks: {out: {file: {path: '{dir}/out', sync: false}}}\n",
    );
    write_certificates(&site);
    fs::write(site.path("key"), "open sesame\n").unwrap();
    fs::write(site.path("password"), "hunter2\n").unwrap();
    let (_plane, port) = start_forward(&site);
    let file = |name: &str| site.path(name).display().to_string();
    let tls = json!({"ca": file("authority.pem"), "cert": file("client.pem"), "key": file("client.key"), "servername": "localhost"});
    let security =
        json!({"clientHostname": "c", "sharedKey": "open sesame", "username": "shop", "password": "hunter2"});
    let socket = json!({"host": "127.0.0.1", "port": port, "tls": tls});
    let good = json!({"socket": socket, "security": security});
    let with = |pointer: &str, value: Value| {
        let mut options = good.clone();
        *options.pointer_mut(pointer).unwrap() = value;
        options
    };
    let soon = Duration::from_secs(3);
    for (what, options) in [
        ("key", with("/security/sharedKey", json!("open barley"))),
        ("password", with("/security/password", json!("hunter3"))),
        ("user", with("/security/username", json!("thief"))),
        ("certificate", with("/socket/tls", json!({"ca": file("authority.pem"), "servername": "localhost"}))),
        ("handshake", with("/security", Value::Null)),
    ] {
        assert!(!send_by_node(&options, 1, soon).status.success(), "the {what} was not asked for");
    }
    assert_eq!(site.documents("out").len(), 0);
    let sent = send_by_node(&good, 20, PATIENCE);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert_eq!(by_id(site.documents("out")).len(), 20);
}

#[test]
fn a_chunk_that_comes_again_brings_the_same_records() {
    let site = Site::new(FORWARD);
    let (_plane, port) = start_forward(&site);
    let lines: Vec<_> = (0..3000).map(|number| format!("job {number} done")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let mut first = connect(port);
    // Many chunks on their way at once, acknowledged in order.
    for chunk in ["one", "two", "three"] {
        first.write_all(&packed(&lines, Some(chunk))).unwrap();
    }
    for chunk in ["one", "two", "three"] {
        expect_ack(&mut first, chunk);
    }
    assert_eq!(by_id(site.documents("out")).len(), 9000);
    let mut second = connect(port);
    second.write_all(&packed(&lines, Some("two"))).unwrap();
    second.write_all(&packed(&[], Some("none"))).unwrap();
    second.shutdown(std::net::Shutdown::Write).unwrap();
    expect_ack(&mut second, "two");
    expect_ack(&mut second, "none");
    let found = site.documents("out");
    assert_eq!((found.len(), by_id(found).len()), (12_000, 9000));
}

#[test]
fn nothing_is_acknowledged_while_the_sink_is_away() {
    let site = Site::new(AWAY);
    let text =
        fs::read_to_string(site.path("logrisk.yaml")).unwrap().replace("grace_secs: 30", "grace_secs: 0");
    fs::write(site.path("logrisk.yaml"), text).unwrap();
    let (mut plane, port) = start_forward(&site);
    let mut stream = connect(port);
    stream.write_all(&packed(&["disk full"], Some("c"))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let waited = stream.read(&mut [0; 64]).unwrap_err().kind();
    assert!(matches!(waited, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waited}");
    plane.terminate();
    // Closed without an acknowledgement: the sender keeps the chunk.
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(!matches!(stream.read(&mut [0; 64]), Ok(1..)));
}

#[test]
fn a_full_data_plane_stops_reading_and_keeps_its_memory() {
    let site = Site::new(AWAY);
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap() + "  in_flight_mebibytes: 1\n";
    fs::write(site.path("logrisk.yaml"), text.replace("grace_secs: 30", "grace_secs: 0")).unwrap();
    let (plane, port) = start_forward(&site);
    let resident = |plane: &Plane| {
        let status = fs::read_to_string(format!("/proc/{}/status", plane.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = resident(&plane);
    let line = "x".repeat(1000);
    let message = packed(&vec![line.as_str(); 1000], None);
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let message = message.clone();
            thread::spawn(move || {
                let mut stream = connect(port);
                stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
                (0..100).find(|_| stream.write_all(&message).is_err()).map(|_| stream)
            })
        })
        .collect();
    let waiting: Vec<_> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
    assert!(waiting.iter().all(Option::is_some), "a sender could send 100 MB");
    let grown = resident(&plane).saturating_sub(before);
    assert!(grown < 96, "{grown} MiB for 8 senders that wait");
}

#[test]
fn hostile_bytes_end_their_connection_alone() {
    let site = Site::new(FORWARD);
    let (mut plane, port) = start_forward(&site);
    let mut good = connect(port);
    let deep: Vec<u8> =
        [&[0x93, 0xa1, b't', 1, 0x81, 0xa1, b'x'][..], &[0x91; 100_000], &[0xc0][..]].concat();
    let hostile: [(&[u8], &str); 5] = [
        (b"GET / HTTP/1.1\r\n\r\n", "not the forward protocol"),
        (&[0xdd, 0xff, 0xff, 0xff, 0xff], "more than 16 MiB"),
        (&[0x92, 0xa1, b't', 0xc6, 0x7f, 0xff, 0xff, 0xff], "more than 16 MiB"),
        (&[0x93, 0xa1, b't', 0xa1, b'x', 0x80], "not the forward protocol"),
        (&deep, "nested"),
    ];
    for (bytes, words) in hostile {
        let mut stream = connect(port);
        stream.write_all(bytes).unwrap();
        assert!(!matches!(stream.read(&mut [0; 64]), Ok(1..)), "{words}");
        plane.wait_for_log(words);
    }
    // One that ends early is nothing.
    connect(port).write_all(&packed(&["half a message"], None)[..20]).unwrap();
    good.write_all(&packed(&["fine"], Some("c"))).unwrap();
    expect_ack(&mut good, "c");
    assert_eq!(site.documents("out").len(), 1);
    assert_eq!(plane.terminate(), Some(0));
}

#[test]
fn a_slow_message_does_not_hold_its_place() {
    let settings = FORWARD.replace("'127.0.0.1:0'", "'127.0.0.1:0', timeout_secs: 1, connections: 1");
    let site = Site::new(&settings);
    let (_plane, port) = start_forward(&site);
    let mut slow = connect(port);
    slow.write_all(&packed(&["half a message"], Some("c"))[..20]).unwrap();
    let began = Instant::now();
    // The only place: this one is served when the slow one has been closed.
    let mut next = connect(port);
    next.write_all(&packed(&["fine"], Some("c"))).unwrap();
    expect_ack(&mut next, "c");
    assert!(began.elapsed() >= Duration::from_millis(900));
    assert!(!matches!(slow.read(&mut [0; 64]), Ok(1..)));
}

#[test]
fn what_is_on_its_way_at_the_end_is_acknowledged() {
    let site = Site::new(FORWARD);
    let (mut plane, port) = start_forward(&site);
    let mut stream = connect(port);
    let lines = vec!["request served in 12 ms"; 20_000];
    for number in 0..10 {
        stream.write_all(&packed(&lines, Some(&number.to_string()))).unwrap();
    }
    expect_ack(&mut stream, "0");
    plane.signal("TERM");
    let mut answers = Vec::new();
    _ = stream.read_to_end(&mut answers);
    assert_eq!(plane.wait(), Some(0));
    // Each is seven bytes. What was not read any more was not acknowledged, and stays with its sender.
    let acknowledged = 1 + answers.len() / 7;
    assert_eq!(by_id(site.documents("out")).len(), acknowledged * lines.len());
}
