//! What an operator does: keys, TLS, settings, alerts, watching, ending.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    common::{repository, run},
    server::{PATIENCE, Server, receive},
};

#[test]
fn sigterm_under_load_answers_what_was_asked() {
    let mut server = Server::start(&["--threads", "1"]);
    let address = server.address.clone();
    let (sent, answered): (Vec<_>, Vec<_>) = (0..4)
        .map(|client| {
            let logs: Vec<String> = (0..40).map(|line| format!("ERROR {} lost {}", "u".repeat(client + 1), "v".repeat(line))).collect();
            let body = json!({"logs": logs}).to_string();
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(stream, "POST /predict/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            (client, stream)
        })
        .unzip();
    // In flight: the server counts a request's texts once it has read the request.
    let started = |text: &str| {
        text.lines()
            .filter_map(|line| {
                line.strip_prefix("logrisk_queue_lines ").or(line.strip_prefix("logrisk_judged_lines_total "))
            })
            .map(|count| count.parse::<u64>().unwrap())
            .sum::<u64>()
    };
    server.wait_until("all requests are read", || started(&server.get("/metrics").text) >= 160 - 40);
    server.signal("TERM");
    for mut stream in answered {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"count\":40"), "{text}");
    }
    assert_eq!(sent.len(), 4);
    assert_eq!(server.wait(), Some(0));
}

fn key(name: &str, scopes: &str, secret: &str, rate: &str) -> String {
    let digest: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}:{scopes}:{digest}{rate}")
}

#[test]
fn keys_open_what_their_scopes_say() {
    let reader = key("grafana", "read", "reader-secret", "");
    let caller = key("api", "predict+feedback", "caller-secret", "");
    let slow = key("slow", "predict", "slow-secret", ":1");
    let server = Server::start(&["--key", &reader, "--key", &caller, "--key", &slow]);
    let bearer = |secret: &str| format!("Bearer {secret}");
    let (reader, caller, slow, unknown) =
        (bearer("reader-secret"), bearer("caller-secret"), bearer("slow-secret"), bearer("guessed"));
    let body = br#"{"log": "INFO started"}"#;
    let post = |path: &str, authorization: &str| {
        server.send(path, &[("content-type", "application/json"), ("authorization", authorization)], body)
    };
    let refused = server.send("/predict", &[("content-type", "application/json")], body);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("key_missing")));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(post("/predict", &unknown).json()["code"], "key_unknown");
    let refused = post("/predict", &reader);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("scope_missing")));
    assert_eq!(post("/predict", &caller).status, 200);
    assert_eq!(post("/models/reload", &caller).status, 403);
    assert_eq!(server.get("/patterns").status, 401);
    assert_eq!(server.get_with("/patterns", &[("authorization", &reader)]).status, 200);
    assert_eq!(server.get_with("/patterns", &[("x-api-key", "reader-secret")]).status, 200);
    assert_eq!(server.get_with("/patterns", &[("cookie", "a=b; logrisk_key=reader-secret")]).status, 200);
    for open in ["/health", "/readyz", "/docs/", "/openapi.json"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
    let corrected = server.send(
        "/feedback",
        &[("content-type", "application/json"), ("authorization", &caller)],
        br#"{"log": "INFO started", "risk_label": 2}"#,
    );
    assert_eq!(corrected.json()["by"], "api");
    let statuses: Vec<_> = (0..20).map(|_| post("/predict", &slow)).collect();
    let refused = statuses.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.json()["code"], "rate_exceeded");
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn pages_of_other_sites_may_write_only_if_allowed() {
    let server = Server::start(&["--allowed-origin", "https://dashboard.example"]);
    let predict = |origin: &str| {
        let headers = [("content-type", "application/json"), ("origin", origin)];
        server.send("/predict", &headers, br#"{"log": "INFO started"}"#)
    };
    let refused = predict("https://evil.example");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("origin_refused")));
    assert!(refused.header("access-control-allow-origin").is_none());
    let allowed = predict("https://dashboard.example");
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://dashboard.example"));
    assert_eq!(predict(&format!("http://{}", server.address)).status, 200);
    let closed = Server::start(&[]);
    let preflight = closed.raw(b"OPTIONS /predict HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n");
    assert!(!preflight.to_lowercase().contains("access-control-allow-origin"), "{preflight}");
}

#[test]
fn settings_come_from_flags_then_environment_then_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logrisk.yaml");
    fs::write(&file, "serve:\n  body_mebibytes: 1\n  queue_lines: 7\nlog:\n  format: json\n").unwrap();
    let config = file.to_str().unwrap();
    let server = Server::start_unready(&["--config", config], &[("LOGRISK_QUEUE_LINES", "9")]);
    server.wait_until("it is ready", || server.get("/readyz").status == 200);
    assert!(server.get("/metrics").text.contains("logrisk_queue_limit_lines 9\n"));
    assert!(server.log_lines().iter().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    // The server may close before the client has sent all of it, and then the answer can be lost.
    let large = vec![b'x'; 2 << 20];
    server.wait_until("too large a body is refused", || {
        server.send("/ingest", &[("content-type", "text/plain")], &large).status == 413
    });

    fs::write(&file, "serve:\n  port: 8000\n  prot: 8000\n").unwrap();
    for arguments in [&["serve", "--config", config][..], &["check", config]] {
        let outcome = run(arguments, "");
        assert_eq!(outcome.code, 1, "{arguments:?}");
        assert!(
            outcome.stderr.contains("logrisk.yaml:3:3") && outcome.stderr.contains("prot"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn check_names_what_would_not_start() {
    let outcome = run(&["check", "--offline", &repository("config/logrisk.yaml")], "");
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logrisk.yaml");
    let port = taken.local_addr().unwrap().port();
    fs::write(
        &file,
        format!("serve:\n  port: {port}\nengine:\n  model: nowhere.tar.zst\nalerts:\n  url: hooks.example\n"),
    )
    .unwrap();
    let outcome = run(&["check", file.to_str().unwrap()], "");
    assert_eq!(outcome.code, 1);
    for failed in ["model", "address", "alerts"] {
        assert!(outcome.stdout.contains(&format!("FAILED  {failed}: ")), "{}", outcome.stdout);
    }
}

#[test]
fn a_risky_line_raises_one_alert_for_its_pattern() {
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", hook.local_addr().unwrap());
    let received = thread::spawn(move || {
        let mut bodies = Vec::new();
        // The first attempt fails, so that the second is a retry.
        for status in ["503 Unavailable", "200 OK", "200 OK"] {
            let body = receive(&hook, status);
            bodies.push(serde_json::from_slice::<Value>(&body).unwrap());
        }
        bodies
    });
    let environment =
        [("ALERT_WEBHOOK_URL", url.as_str()), ("ALERT_CHANNEL", "webhook"), ("ALERT_MIN_RISK_LEVEL", "7")];
    let server = Server::start_unready(&[], &environment);
    server.wait_until("it is ready", || server.get("/readyz").status == 200);
    let panic = "kernel: Kernel panic - not syncing: Fatal exception in CPU 3";
    let malformed = "FATAL database disk image is malformed";
    for (log, risk) in [(panic, 10), (malformed, 9)] {
        server.post("/feedback", &json!({"log": log, "risk_label": risk}));
    }
    for _ in 0..3 {
        server.post("/predict", &json!({"log": panic}));
    }
    server.post("/predict", &json!({"log": "INFO request served"}));
    server.ingest(&format!("{malformed}\n"));
    let bodies = received.join().unwrap();
    assert_eq!(bodies[0], bodies[1], "the retry says the same");
    assert_eq!((&bodies[1]["alert_type"], &bodies[1]["message"]), (&json!("high_risk_log"), &json!(panic)));
    assert_eq!((&bodies[1]["risk_label"], &bodies[1]["risk_level"]), (&json!(10), &json!("emergency")));
    assert!(bodies[1]["dedup_key"].is_string());
    assert_eq!((&bodies[2]["message"], &bodies[2]["risk_label"]), (&json!(malformed), &json!(9)));
}

#[test]
fn an_unknown_alert_channel_is_a_web_hook_as_in_the_first_seed() {
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", hook.local_addr().unwrap());
    let received = thread::spawn(move || receive(&hook, "200 OK"));
    let environment = [("ALERT_WEBHOOK_URL", url.as_str()), ("ALERT_CHANNEL", "Teams")];
    let server = Server::start_unready(&[], &environment);
    server.wait_until("it is ready", || server.get("/readyz").status == 200);
    server.post("/feedback", &json!({"log": "ERROR disk full", "risk_label": 9}));
    server.post("/predict", &json!({"log": "ERROR disk full"}));
    let body: Value = serde_json::from_slice(&received.join().unwrap()).unwrap();
    assert_eq!(body["alert_type"], "high_risk_log");
}

/// An authority and a certificate that it signed, with its key, as PEM.
struct Signed {
    authority: String,
    certificate: String,
    key: String,
}

fn signed(expired: bool) -> Signed {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters =
        rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    if expired {
        parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let certificate = parameters.signed_by(&key, &issuer).unwrap().pem();
    Signed { authority, certificate, key: key.serialize_pem() }
}

/// Asks over TLS, trusting an authority, with a client's certificate or without.
fn over_tls(server: &Server, authority: &str, client: Option<&Signed>) -> Result<u16, String> {
    use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
    let root = Certificate::from_pem(authority.as_bytes()).unwrap().to_owned();
    let mut tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root]));
    if let Some(client) = client {
        let chain = [Certificate::from_pem(client.certificate.as_bytes()).unwrap().to_owned()];
        let key = PrivateKey::from_pem(client.key.as_bytes()).unwrap();
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    let agent: ureq::Agent =
        ureq::Agent::config_builder().tls_config(tls.build()).timeout_global(Some(PATIENCE)).build().into();
    let port = server.address.rsplit(':').next().unwrap();
    let answer = agent.get(format!("https://localhost:{port}/livez")).call();
    answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
}

fn write_pem(folder: &Path, name: &str, pem: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, pem).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn tls_asks_for_the_right_certificates_and_takes_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (own, clients, stranger) = (signed(false), signed(false), signed(false));
    let certificate = write_pem(folder.path(), "tls.crt", &own.certificate);
    let key = write_pem(folder.path(), "tls.key", &own.key);
    let late = signed(true);
    let authorities = format!("{}{}", clients.authority, late.authority);
    let authority = write_pem(folder.path(), "clients.crt", &authorities);
    let files = ["--tls-certificate", &certificate, "--tls-key", &key];

    let server = Server::start_unready(&files, &[]);
    assert_eq!(over_tls(&server, &own.authority, None), Ok(200));
    assert!(over_tls(&server, &stranger.authority, None).is_err(), "a wrong authority");
    let renewed = signed(false);
    write_pem(folder.path(), "tls.crt", &renewed.certificate);
    write_pem(folder.path(), "tls.key", &renewed.key);
    server.wait_until("the new certificate is in use", || {
        over_tls(&server, &renewed.authority, None) == Ok(200)
    });
    let expired = signed(true);
    write_pem(folder.path(), "tls.crt", &expired.certificate);
    write_pem(folder.path(), "tls.key", &expired.key);
    server
        .wait_until("clients refuse an expired one", || over_tls(&server, &expired.authority, None).is_err());
    drop(server);

    write_pem(folder.path(), "tls.crt", &own.certificate);
    write_pem(folder.path(), "tls.key", &own.key);
    let mutual: Vec<&str> = files.into_iter().chain(["--tls-client-authority", &authority]).collect();
    let server = Server::start_unready(&mutual, &[]);
    assert_eq!(over_tls(&server, &own.authority, Some(&clients)), Ok(200));
    assert!(over_tls(&server, &own.authority, None).is_err(), "no certificate");
    assert!(over_tls(&server, &own.authority, Some(&stranger)).is_err(), "a stranger's certificate");
    assert!(over_tls(&server, &own.authority, Some(&late)).is_err(), "a certificate that has expired");
    assert_eq!(over_tls(&server, &own.authority, Some(&clients)), Ok(200), "the others go on");
    drop(server);

    let missing = run(&["serve", "--port", "0", "--tls-certificate", "nowhere.crt", "--tls-key", &key], "");
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("nowhere.crt"), "{}", missing.stderr);
}
