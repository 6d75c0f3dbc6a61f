//! The `syslog` source over UDP and TCP, in both formats and both framings.

use std::{
    io::Write as _,
    net::{TcpStream, UdpSocket},
};

use serde_json::json;

use crate::run_plane::Site;

#[test]
fn syslog_is_read_over_udp_and_tcp() {
    let site = Site::new(
        "sources: {in: {syslog: {address: '127.0.0.1:0'}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    let mut plane = site.start();
    let line = plane.wait_for_log("listening on syslog://");
    let address = line.split("syslog://").nth(1).unwrap().split([' ', '"']).next().unwrap().to_owned();
    let mut tcp = TcpStream::connect(&address).unwrap();
    tcp.write_all(b"<11>1 2026-01-15T10:30:45.5Z web shop 42 ID7 [x@1 user=\"anna\"] connection refused\n")
        .unwrap();
    let counted = "<14>Jan 15 10:30:46 db postgres[99]: checkpoint complete";
    write!(tcp, "{} {counted}{} {counted}", counted.len(), counted.len()).unwrap();
    let found: Vec<_> = site.wait_for("out", 3).into_values().collect();
    let of = |name: &str| found.iter().find(|one| one["process.name"] == name).unwrap();
    let shop = of("shop");
    assert_eq!(
        (&shop["message"], &shop["log.level"], &shop["host.name"]),
        (&json!("connection refused"), &json!("error"), &json!("web"))
    );
    assert_eq!((&shop["@timestamp"], &shop["process.pid"]), (&json!("2026-01-15T10:30:45.500Z"), &json!(42)));
    assert_eq!(shop["log.syslog.structured_data.x@1.user"], "anna");
    let postgres = of("postgres");
    assert_eq!(
        (&postgres["message"], &postgres["log.level"]),
        (&json!("checkpoint complete"), &json!("info"))
    );
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"<10>kernel: panic", &address).unwrap();
    let found = site.wait_for("out", 4);
    assert!(
        found.values().any(|one| one["log.level"] == "critical" && one["source.ip"] == "127.0.0.1"),
        "{found:?}"
    );
    // What was received is written before the end.
    let many: String = (0..5000).map(|number| format!("<14>app: message {number}\n")).collect();
    tcp.write_all(many.as_bytes()).unwrap();
    site.wait_for("out", 5004);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}
