//! The `http` source with real shippers, over TLS, and with senders of bad manners.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::{
    common::{repository, run},
    run_forward::{shippers, start, write_certificates},
    run_plane::{PATIENCE, Site},
    run_syslog::{Rsyslog, example},
};

/// An `http` source with these settings besides its address.
fn site(settings: &str) -> Site {
    Site::new(&format!(
        "sources: {{in: {{http: {{address: '127.0.0.1:0'{settings}}}}}}}\nsinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n"
    ))
}

const MUTUAL: &str = ", tls: {certificate: '{dir}/server.pem', key: '{dir}/server.key', client_authority: '{dir}/authority.pem'}";

#[test]
fn rsyslogs_bulk_requests_arrive_over_mutual_tls() {
    let site = site(&format!("{MUTUAL}, token: {{file: '{{dir}}/token'}}"));
    write_certificates(&site);
    fs::write(site.path("token"), "open-sesame\n").unwrap();
    let (mut plane, port) = start(&site, "listening on https://");
    let configuration =
        example(&site, "rsyslog-elasticsearch.conf", port).replace("LOGRISK_INGEST_TOKEN", "open-sesame");
    let rsyslog = Rsyslog::start(&site, &configuration);
    for number in 0..200 {
        rsyslog.log(&format!("<34>Oct 11 22:14:15 su[12]: 'su root' failed for user{number}"));
    }
    let found = site.wait_for("out", 200);
    let one = found
        .values()
        .find(|document| document["message"].as_str().is_some_and(|text| text.ends_with("failed for user7")))
        .unwrap();
    for (name, value) in
        [("log.level", "critical"), ("process.name", "su"), ("log.syslog.facility.name", "auth")]
    {
        assert_eq!(one[name], value, "{name} of {one}");
    }
    drop(rsyslog);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn pinos_records_arrive_by_bulk_and_by_loki() {
    let site = site("");
    let (_plane, port) = start(&site, "listening on http://");
    let script = format!(
        "const log = require({:?}); for (let n = 0; n < 100; n++) log.error({{orderId: n}}, `order ${{n}} refused`); setTimeout(() => 0, 90000);",
        repository("config/examples/pino.js")
    );
    let mut child = Command::new("node")
        .args(["-e", &script])
        .env("NODE_PATH", shippers("node").join("node/node_modules"))
        .env("LOGRISK_URL", format!("http://127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let found = site.wait_for("out", 200);
    _ = child.kill();
    _ = child.wait();
    let bulk: Vec<_> = found.values().filter(|document| document["message"] == "order 7 refused").collect();
    assert_eq!(bulk.len(), 1, "{bulk:?}");
    assert_eq!((&bulk[0]["log.level"], &bulk[0]["orderId"]), (&json!("error"), &json!(7)));
    let loki: Vec<_> = found.values().filter(|document| document["labels.app"] == "shop").collect();
    assert_eq!(loki.len(), 100);
    assert!(loki.iter().all(|document| document["log.level"] == "error"), "{}", loki[0]);
}

#[test]
fn only_senders_with_a_certificate_of_the_authority_are_answered() {
    let site = site(MUTUAL);
    write_certificates(&site);
    let (mut plane, port) = start(&site, "listening on https://");
    let read = |name: &str| fs::read(site.path(name)).unwrap();
    let send = |scheme: &str, certified: bool| {
        let root = Certificate::from_pem(&read("authority.pem")).unwrap().to_owned();
        let mut tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root]));
        if certified {
            let own = [Certificate::from_pem(&read("client.pem")).unwrap().to_owned()];
            let key = PrivateKey::from_pem(&read("client.key")).unwrap();
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&own, key)));
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        agent.post(format!("{scheme}://localhost:{port}/")).send("ERROR from a friend\n").is_ok()
    };
    assert!(!send("http", false), "without TLS");
    assert!(!send("https", false), "without a certificate");
    assert!(send("https", true));
    assert_eq!(site.documents("out").len(), 1);
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

#[test]
fn check_names_what_a_source_cannot_listen_with() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (source, words) in [
        (format!("{{http: {{address: '{address}'}}}}"), &*address),
        ("{http: {address: '127.0.0.1:0', token: {env: LOGRISK_NOBODY_SET}}}".to_owned(), "LOGRISK_NOBODY_SET"),
        (format!("{{syslog: {{udp: '127.0.0.1:0', tcp: '{address}'}}}}"), &*address),
        ("{syslog: {}}".to_owned(), "set udp, tcp or both"),
        (
            "{forward: {address: '127.0.0.1:0', tls: {certificate: '{dir}/none.pem', key: '{dir}/none.key'}}}".to_owned(),
            "none.pem",
        ),
        ("{forward: {address: '127.0.0.1:0', users: {u: {env: HOME}}}}".to_owned(), "shared_key"),
    ] {
        let site = Site::new(&format!("sources: {{in: {source}}}\nsinks: {{out: {{file: {{path: '{{dir}}/out'}}}}}}\n"));
        let checked = run(&["check", site.path("logrisk.yaml").to_str().unwrap()], "");
        let text = checked.stdout + &checked.stderr;
        assert!(checked.code == 1 && text.contains("source in") && text.contains(words), "{words}: {text}");
    }
}

#[test]
fn headers_that_trickle_hold_neither_places_nor_the_end() {
    let site = site(", connections: 2, idle_secs: 2");
    let (mut plane, port) = start(&site, "listening on http://");
    let trickle = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let (mut first, mut second) = (trickle(), trickle());
    // Both places are taken: this one waits until they are given up.
    let began = Instant::now();
    ureq::post(format!("http://127.0.0.1:{port}/")).send("INFO fine\n").unwrap();
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}: a third connection was served", began.elapsed());
    for stream in [&mut first, &mut second] {
        let mut answer = String::new();
        _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    // More headers than there may be.
    let mut wide = trickle();
    _ = wide.write_all(&vec![b'x'; 1 << 20]);
    let mut answer = String::new();
    _ = wide.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let _last = trickle();
    let began = Instant::now();
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
    assert!(began.elapsed() < Duration::from_secs(20));
}
