//! The `syslog` source over UDP and TCP, in both formats and both framings.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;

use crate::run_plane::{Plane, Site};

fn listening(plane: &mut Plane) -> String {
    let line = plane.wait_for_log("listening on syslog://");
    line.split("syslog://").nth(1).unwrap().split([' ', '"']).next().unwrap().to_owned()
}

#[test]
fn syslog_is_read_over_udp_and_tcp() {
    let site = Site::new(
        "sources: {in: {syslog: {address: '127.0.0.1:0'}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    let mut plane = site.start();
    let address = listening(&mut plane);
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
        found.values().any(|one| one["message"].as_str().is_some_and(|text| text.contains("kernel: panic"))
            && one["source.ip"] == "127.0.0.1"),
        "{found:?}"
    );
    // What was received is written before the end.
    let many: String = (0..5000).map(|number| format!("<14>app: message {number}\n")).collect();
    tcp.write_all(many.as_bytes()).unwrap();
    site.wait_for("out", 5004);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn only_senders_with_a_certificate_of_the_authority_are_heard() {
    let site = Site::new(
        "sources: {in: {syslog: {address: '127.0.0.1:0', protocol: tcp, tls: {certificate: '{dir}/tls.crt', \
         key: '{dir}/tls.key', client_authority: '{dir}/ca.crt'}}}}\nsinks: {out: {file: {path: '{dir}/out'}}}\n",
    );
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let signed = || {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &authority).unwrap(), key)
    };
    let (server, key) = signed();
    fs::write(site.path("ca.crt"), authority.pem()).unwrap();
    fs::write(site.path("tls.crt"), server.pem()).unwrap();
    fs::write(site.path("tls.key"), key.serialize_pem()).unwrap();
    let mut plane = site.start();
    let address = listening(&mut plane);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der().to_vec())).unwrap();
    let config = || {
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
    };
    let send = |config: ClientConfig, message: &str| {
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(&address).unwrap());
        let written = stream.write_all(message.as_bytes()).and_then(|()| stream.flush());
        // Under TLS 1.3 a refusal is only heard by whoever reads.
        stream.conn.send_close_notify();
        written.and_then(|()| stream.read(&mut [0]).map(drop))
    };
    assert!(send(config().with_no_client_auth(), "<11>app: from nobody\n").is_err());
    let (own, key) = signed();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let known = config().with_client_auth_cert(vec![own.der().clone()], key).unwrap();
    _ = send(known, "<11>app: from a friend\n");
    let found = site.wait_for("out", 1);
    assert!(
        found.values().all(|one| one["message"].as_str().is_some_and(|text| text.ends_with("from a friend"))),
        "{found:?}"
    );
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    assert_eq!(site.documents("out").len(), 1);
}
