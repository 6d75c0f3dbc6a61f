//! Who knows the shared key: HELO from us, PING from the sender, PONG from us.

use std::io::{self, BufReader, Read, Write};

use rmpv::{Value, decode::read_value, encode::write_value};
use sha2::{Digest as _, Sha512};

/// A ping holds a host's name, a salt and two digests.
const PING_BYTES: u64 = 16 << 10;

/// Lets a sender in, or says why not and ends the connection.
pub(super) fn serve<S: Read + Write>(stream: &mut BufReader<S>, key: &str) -> io::Result<()> {
    let mut nonce = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut nonce).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let options = vec![
        ("nonce".into(), Value::Binary(nonce.to_vec())),
        ("auth".into(), Value::Binary(Vec::new())),
        ("keepalive".into(), true.into()),
    ];
    send(stream, &Value::Array(vec!["HELO".into(), Value::Map(options)]))?;
    let ping = read_value(&mut stream.take(PING_BYTES)).map_err(io::Error::other)?;
    let parts = ping.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |index: usize| parts.get(index).map(bytes).unwrap_or_default();
    let (host, salt, digest) = (text(1), text(2), text(3));
    let knows = text(0) == b"PING" && hex(&[&salt, &host, &nonce, key.as_bytes()]).as_bytes() == digest;
    let (own, reason) = ("logrisk", if knows { "" } else { "shared key mismatch" });
    let answer = if knows { hex(&[&salt, own.as_bytes(), &nonce, key.as_bytes()]) } else { String::new() };
    send(stream, &Value::Array(vec!["PONG".into(), knows.into(), reason.into(), own.into(), answer.into()]))?;
    if knows {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "the sender's shared key is another"))
    }
}

fn send<S: Read + Write>(stream: &mut BufReader<S>, value: &Value) -> io::Result<()> {
    write_value(stream.get_mut(), value).map_err(io::Error::other)?;
    stream.get_mut().flush()
}

fn bytes(value: &Value) -> Vec<u8> {
    value.as_slice().or_else(|| value.as_str().map(str::as_bytes)).unwrap_or_default().to_vec()
}

fn hex(parts: &[&[u8]]) -> String {
    let mut digest = Sha512::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
