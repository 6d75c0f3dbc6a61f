//! The `forward` source: all modes, acknowledgements, the shared key, TLS, and a real logger.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::Arc,
    time::Duration,
};

use rmpv::{Value, decode::read_value, encode::write_value};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::CertificateDer};
use serde_json::json;
use sha2::{Digest as _, Sha512};

use crate::run_plane::{Plane, Site};

fn site(extra: &str) -> Site {
    Site::new(&format!(
        "sources: {{in: {{forward: {{address: '127.0.0.1:0'{extra}}}}}}}\nsinks: {{out: {{file: {{path: '{{dir}}/out', sync: false}}}}}}\n"
    ))
}

fn start(site: &Site) -> (Plane, String) {
    let plane = site.start();
    let line = plane.wait_for_log("listening on tcp://");
    let address = line.split("tcp://").nth(1).unwrap().split([' ', '"']).next().unwrap().to_owned();
    (plane, address)
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn map(members: &[(&str, Value)]) -> Value {
    Value::Map(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

/// A chunk of numbered records in packed mode.
fn chunk(name: &str, numbers: std::ops::Range<u32>) -> Value {
    let mut packed = Vec::new();
    for number in numbers {
        let labels = map(&[("pod_name", "shop-1".into()), ("namespace_name", "prod".into())]);
        let record =
            map(&[("log", format!("INFO request {number} served\n").into()), ("kubernetes", labels)]);
        let time = Value::Ext(0, [1_768_473_045_u32.to_be_bytes(), number.to_be_bytes()].concat());
        write_value(&mut packed, &Value::Array(vec![time, record])).unwrap();
    }
    Value::Array(vec!["kube.app".into(), Value::Binary(packed), map(&[("chunk", name.into())])])
}

fn acknowledged(stream: &mut impl Read, name: &str) {
    let ack = read_value(stream).unwrap();
    assert_eq!(ack, map(&[("ack", name.into())]));
}

#[test]
fn a_chunk_is_acknowledged_when_the_sink_has_it_and_keeps_its_ids() {
    let site = site("");
    let (mut plane, address) = start(&site);
    let mut stream = connect(&address);
    write_value(&mut stream, &chunk("c1", 0..500)).unwrap();
    acknowledged(&mut stream, "c1");
    let found = site.documents("out");
    assert_eq!(found.len(), 500);
    assert_eq!(
        (&found[7]["message"], &found[7]["fluent.tag"]),
        (&json!("INFO request 7 served"), &json!("kube.app"))
    );
    assert_eq!(found[7]["kubernetes"]["namespace_name"], "prod");
    assert_eq!(found[7]["@timestamp"], "2026-01-15T10:30:45.000Z");
    // The acknowledgement got lost, say: the sender repeats the chunk.
    let mut again = connect(&address);
    write_value(&mut again, &chunk("c1", 0..500)).unwrap();
    acknowledged(&mut again, "c1");
    assert_eq!(site.wait_for("out", 500).len(), 500);
    assert_eq!(site.documents("out").len(), 1000);
    // A message without a chunk, and what is no frame.
    write_value(
        &mut again,
        &Value::Array(vec!["app".into(), 1_768_473_045.into(), map(&[("message", "hello".into())])]),
    )
    .unwrap();
    site.wait_for("out", 501);
    again.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(again.read(&mut [0; 10]).unwrap_or(0), 0, "it is not answered");
    assert_eq!(plane.terminate(), Some(0), "{:?}", plane.log_lines());
}

fn hex(parts: &[&[u8]]) -> String {
    let mut digest = Sha512::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The handshake of a sender; whether it was let in.
fn shake(stream: &mut (impl Read + Write), key: &str) -> bool {
    let helo = read_value(stream).unwrap();
    assert_eq!(helo[0], "HELO".into());
    let nonce = helo[1]
        .as_map()
        .unwrap()
        .iter()
        .find(|(name, _)| name.as_str() == Some("nonce"))
        .unwrap()
        .1
        .as_slice()
        .unwrap()
        .to_vec();
    let (salt, host) = (b"0123456789abcdef", "sender");
    let digest = hex(&[salt, host.as_bytes(), &nonce, key.as_bytes()]);
    let ping =
        vec!["PING".into(), host.into(), Value::Binary(salt.to_vec()), digest.into(), "".into(), "".into()];
    write_value(stream, &Value::Array(ping)).unwrap();
    stream.flush().unwrap();
    let pong = read_value(stream).unwrap();
    let own = hex(&[salt, pong[3].as_str().unwrap().as_bytes(), &nonce, key.as_bytes()]);
    pong[1].as_bool().unwrap() && pong[4].as_str() == Some(&own)
}

#[test]
fn senders_prove_the_shared_key_over_tls() {
    let site =
        site(", shared_key: {file: '{dir}/key'}, tls: {certificate: '{dir}/tls.crt', key: '{dir}/tls.key'}");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(site.path("tls.crt"), made.cert.pem()).unwrap();
    fs::write(site.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(site.path("key"), "open sesame").unwrap();
    let (_plane, address) = start(&site);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let connect = || {
        let connection = ClientConnection::new(Arc::clone(&config), "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(connection, connect(&address))
    };
    assert!(!shake(&mut connect(), "wrong"));
    let mut stream = connect();
    assert!(shake(&mut stream, "open sesame"));
    write_value(&mut stream, &chunk("c1", 0..3)).unwrap();
    stream.flush().unwrap();
    acknowledged(&mut stream, "c1");
    assert_eq!(site.documents("out").len(), 3);
}

/// Fluentd's own logger for Python, installed by pip.
#[test]
fn a_real_logger_is_understood() {
    let folder = std::path::PathBuf::from(std::env::var_os("HOME").unwrap())
        .join(".cache/logrisk-tests/fluent-logger");
    if !folder.join("fluent").exists() {
        let installed = Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "fluent-logger==0.11.1",
                "--target",
            ])
            .arg(&folder)
            .status();
        assert!(installed.unwrap().success(), "pip could not install fluent-logger");
    }
    let site = site("");
    let (_plane, address) = start(&site);
    let port = address.rsplit(':').next().unwrap();
    let script = format!(
        "from fluent import sender\n\
         s = sender.FluentSender('app', host='127.0.0.1', port={port}, nanosecond_precision=True)\n\
         assert all(s.emit('x', {{'message': f'ERROR job {{n}} failed', 'level': 'error'}}) for n in range(100))\n\
         s.close()\n"
    );
    let status = Command::new("python3").args(["-c", &script]).env("PYTHONPATH", &folder).status();
    assert!(status.unwrap().success());
    let found = site.wait_for("out", 100);
    assert!(found.values().all(|one| one["fluent.tag"] == "app.x" && one["log.level"] == "error"));
}
