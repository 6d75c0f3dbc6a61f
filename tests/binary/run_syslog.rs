//! The `syslog` source with rsyslog, over all its ways, and with senders of bad manners.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::json;

use crate::{
    common::repository,
    run_forward::{shippers, start, write_certificates},
    run_plane::{PATIENCE, Site},
};

const OVER_UDP: &str = "listening for syslog over UDP";
const OVER_TCP: &str = "listening for syslog over TCP";

/// rsyslogd with a configuration, fed by a socket; it ends with the test.
pub struct Rsyslog {
    child: Child,
    input: UnixDatagram,
}

impl Rsyslog {
    pub fn start(site: &Site, configuration: &str) -> Self {
        shippers("rsyslog");
        let path = |name: &str| site.path(name).display().to_string();
        let input = format!(
            "global(workDirectory=\"{}\")\nmodule(load=\"imuxsock\" sysSock.use=\"off\")\n\
             input(type=\"imuxsock\" socket=\"{}\" rateLimit.interval=\"0\")\n",
            path("").trim_end_matches('/'),
            path("log")
        );
        fs::write(site.path("rsyslog.conf"), input + configuration).unwrap();
        let child = Command::new("/usr/sbin/rsyslogd")
            .args(["-n", "-f", &path("rsyslog.conf"), "-i", &path("rsyslog.pid")])
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let input = UnixDatagram::unbound().unwrap();
        let began = Instant::now();
        while input.connect(site.path("log")).is_err() {
            assert!(began.elapsed() < PATIENCE, "rsyslogd does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, input }
    }

    pub fn log(&self, message: &str) {
        self.input.send(message.as_bytes()).unwrap();
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// rsyslog's own configuration of the examples, with the files of the site and our port.
pub fn example(site: &Site, name: &str, port: u16) -> String {
    let text = fs::read_to_string(repository(&format!("config/examples/{name}"))).unwrap();
    text.replace("/etc/rsyslog/", &site.path("").display().to_string())
        .replace("target=\"logrisk.example.com\"", "target=\"127.0.0.1\"")
        .replace("logrisk.example.com", "localhost")
        .replace("\"6514\"", &format!("\"{port}\""))
        .replace("\"9200\"", &format!("\"{port}\""))
}

/// An action that forwards by these parameters.
fn forwarding(parameters: &'static str) -> impl Fn(&Site, u16) -> String {
    move |_, port| {
        format!(
            "action(type=\"omfwd\" action.resumeRetryCount=\"-1\" target=\"127.0.0.1\" port=\"{port}\" {parameters})\n"
        )
    }
}

/// That rsyslog's messages arrive through a source with these settings.
fn check(settings: &str, words: &str, configuration: impl Fn(&Site, u16) -> String) {
    let site = Site::new(&format!(
        "sources: {{in: {{syslog: {settings}}}}}\nsinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n"
    ));
    write_certificates(&site);
    let (mut plane, port) = start(&site, words);
    let rsyslog = Rsyslog::start(&site, &configuration(&site, port));
    for number in 0..200 {
        rsyslog.log(&format!("<34>Oct 11 22:14:15 su[12]: 'su root' failed for user{number}"));
    }
    let found = site.wait_for("out", 200);
    let one =
        found.values().find(|document| document["message"] == "su: 'su root' failed for user7").unwrap();
    for (name, value) in [
        ("log.level", json!("critical")),
        ("log.syslog.facility.name", json!("auth")),
        ("log.syslog.severity.name", json!("crit")),
        ("process.name", json!("su")),
        ("process.pid", json!(12)),
        ("log.source.address", json!("127.0.0.1")),
    ] {
        assert_eq!(one[name], value, "{name} of {one}");
    }
    assert!(one["host.name"].is_string());
    assert_eq!(plane.terminate(), Some(0));
}

#[test]
fn rsyslogs_datagrams_arrive() {
    check("{udp: '127.0.0.1:0'}", OVER_UDP, forwarding("protocol=\"udp\""));
}

#[test]
fn rsyslogs_lines_arrive() {
    let lines = forwarding("protocol=\"tcp\" template=\"RSYSLOG_TraditionalForwardFormat\"");
    check("{tcp: '127.0.0.1:0'}", OVER_TCP, lines);
}

#[test]
fn rsyslogs_counted_octets_arrive() {
    let octets = "protocol=\"tcp\" tcp_framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\"";
    check("{tcp: '127.0.0.1:0'}", OVER_TCP, forwarding(octets));
}

#[test]
fn the_example_for_rsyslog_delivers_over_mutual_tls() {
    check(
        "{tcp: '127.0.0.1:0', tls: {certificate: '{dir}/server.pem', key: '{dir}/server.key', client_authority: '{dir}/authority.pem'}}",
        OVER_TCP,
        |site, port| example(site, "rsyslog.conf", port),
    );
}

#[test]
fn a_bare_priority_is_a_level_and_no_text() {
    let site = Site::new(
        "sources: {in: {syslog: {udp: '127.0.0.1:0'}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    let (_plane, port) = start(&site, OVER_UDP);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"<10>kernel: panic", ("127.0.0.1", port)).unwrap();
    let found = site.wait_for("out", 1).into_values().next().unwrap();
    assert_eq!(
        (&found["message"], &found["log.level"], &found["process.name"]),
        (&json!("kernel: panic"), &json!("critical"), &json!("kernel"))
    );
}

#[test]
fn only_senders_with_a_certificate_of_the_authority_are_heard() {
    let site = Site::new(
        "sources: {in: {syslog: {tcp: '127.0.0.1:0', tls: {certificate: '{dir}/server.pem', key: '{dir}/server.key', \
         client_authority: '{dir}/authority.pem'}}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    write_certificates(&site);
    let (mut plane, port) = start(&site, OVER_TCP);
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"<34>Oct 11 22:14:15 host su: plain\n").unwrap();
    let answer = plain.read_to_end(&mut Vec::new());
    // An alert at most.
    assert!(!matches!(answer, Ok(64..)), "{answer:?}");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(site.path("authority.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let send = |config: ClientConfig, message: &str| {
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port)).unwrap());
        let written = stream.write_all(message.as_bytes()).and_then(|()| stream.flush());
        // Under TLS 1.3 a refusal is only heard by whoever reads.
        stream.conn.send_close_notify();
        written.and_then(|()| stream.read(&mut [0]).map(drop))
    };
    assert!(send(config.clone().with_no_client_auth(), "<11>app: from nobody\n").is_err());
    let own = CertificateDer::from_pem_file(site.path("client.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(site.path("client.key")).unwrap();
    _ = send(config.with_client_auth_cert(vec![own], key).unwrap(), "<11>app: from a friend\n");
    let found = site.wait_for("out", 1);
    assert!(found.values().all(|one| one["message"] == "app: from a friend"), "{found:?}");
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    assert_eq!(site.documents("out").len(), 1);
}

#[test]
fn a_message_that_waits_at_the_end_is_delivered() {
    let site = Site::new(
        "sources: {in: {syslog: {udp: '127.0.0.1:0', tcp: '127.0.0.1:0', fields: {site: x}}}}\nsinks: {out: {file: {path: '{dir}/out', sync: false}}}\n",
    );
    let (mut plane, port) = start(&site, OVER_TCP);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"<14>1 2026-01-15T10:30:45Z h app 7 - [x@1 a=\"b\"] first\n<14>Oct 11 22:14:15 h app: no newline").unwrap();
    assert_eq!(site.wait_for("out", 1).len(), 1);
    assert_eq!(plane.terminate(), Some(0));
    let found = site.documents("out");
    assert_eq!(found.len(), 2);
    assert_eq!(
        (&found[0]["log.syslog.structured_data.x@1.a"], &found[0]["site"]),
        (&json!("b"), &json!("x"))
    );
    assert_eq!(found[1]["message"], "app: no newline");
}

#[test]
fn datagrams_that_find_no_place_are_counted() {
    let site = Site::new(
        "sources: {in: {syslog: {udp: '127.0.0.1:0'}}}\nsinks: {out: {elastic: {hosts: ['http://127.0.0.1:1']}}}\n",
    );
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap() + "  in_flight_mebibytes: 1\n";
    fs::write(site.path("logrisk.yaml"), text.replace("grace_secs: 30", "grace_secs: 0")).unwrap();
    let (plane, port) = start(&site, OVER_UDP);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let message = format!("<14>Oct 11 22:14:15 h app: {}", "x".repeat(30_000));
    // One MiB is in flight and eight are held.
    for _ in 0..600 {
        socket.send_to(message.as_bytes(), ("127.0.0.1", port)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let line = plane.wait_for_log("datagrams were dropped");
    assert!(line.contains("dropped=") && line.contains("total="), "{line}");
}

#[test]
fn settings_that_listen_on_nothing_are_refused() {
    let site = Site::new("sources: {in: {syslog: {}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n");
    let mut plane = site.start();
    plane.wait_for_log("set udp, tcp or both");
    assert_eq!(plane.wait(), Some(1));
}

#[test]
fn what_the_system_drops_is_counted_too() {
    let site = Site::new(
        "sources: {in: {syslog: {udp: '127.0.0.1:0'}}}\nsinks: {out: {file: {path: '{dir}/out', sync: false}}}\n",
    );
    let text = fs::read_to_string(site.path("logrisk.yaml")).unwrap() + "  address: 127.0.0.1:0\n";
    fs::write(site.path("logrisk.yaml"), text).unwrap();
    let plane = site.start();
    let line = plane.wait_for_log("metrics at http://");
    let metrics = line.split("http://").nth(1).unwrap().split("/metrics").next().unwrap().to_owned();
    let line = plane.wait_for_log(OVER_UDP);
    let port: u16 =
        line.split("address=127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    plane.signal("STOP");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let message = format!("<14>Oct 11 22:14:15 h app: {}", "x".repeat(30_000));
    // More than the system keeps, whatever it was asked for: 30 MB.
    for _ in 0..1000 {
        socket.send_to(message.as_bytes(), ("127.0.0.1", port)).unwrap();
    }
    plane.signal("CONT");
    let line = plane.wait_for_log("the system dropped datagrams");
    let dropped: usize = line.split("dropped=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(site.wait_for("out", 1000 - dropped).len(), 1000 - dropped, "sent = written + dropped");
    let text =
        ureq::get(format!("http://{metrics}/metrics")).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(
        text.contains(&format!("logrisk_source_dropped_records_total{{source=\"in\"}} {dropped}")),
        "{text}"
    );
}
