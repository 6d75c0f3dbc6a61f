//! Who may send: the handshake of the forward protocol's secure mode.
//!
//! ```text
//! HELO nonce, salt            ─►
//!                             ◄─ PING sender's name, salt, SHA-512(key …), user, SHA-512(password …)
//! PONG our name, SHA-512(key …) ─►
//! ```
//! Neither side says the key: both show that they know it. The nonce is new for each connection, so a digest that was
//! overheard opens nothing, and how long comparing takes tells nothing either.

use std::{collections::BTreeMap, time::Duration};

use logrisk_flow::Secret;
use rmp::encode;
use sha2::{Digest as _, Sha512};
use tokio::{
    io::{AsyncWriteExt as _, WriteHalf},
    time::timeout,
};

use super::{
    connection::{Ended, Frames},
    message::Refused,
    msgpack::{Head, Reader},
};
use crate::listen::Duplex;

/// How long the whole handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How we call ourselves. Senders refuse a server of their own name, which is that of their host.
const NAME: &str = "logrisk";

/// What senders must know.
pub(super) struct Security {
    key: String,
    /// Passwords by user; without any, the key is enough.
    users: BTreeMap<String, String>,
}

impl Security {
    /// Reveals the secrets of the settings; `None` where everybody may send.
    ///
    /// # Errors
    /// A sentence for the user.
    pub(super) fn of(key: Option<&Secret>, users: &BTreeMap<String, Secret>) -> Result<Option<Self>, String> {
        let Some(key) = key else {
            return match users.is_empty() {
                true => Ok(None),
                false => Err("users are asked for in the handshake of a shared_key; set one".to_owned()),
            };
        };
        let reveal = |(name, secret): (&String, &Secret)| Ok((name.clone(), secret.reveal()?));
        let users = users.iter().map(reveal).collect::<Result<_, String>>()?;
        Ok(Some(Self { key: key.reveal()?, users }))
    }

    /// Judges a PING; `None` is a welcome.
    fn judge(&self, ping: &Ping, nonce: &[u8], salt: &[u8]) -> Option<&'static str> {
        let key = self.key.as_bytes();
        if ping.digest != digest(&[ping.salt.as_slice(), ping.name.as_bytes(), nonce, key]) {
            return Some("shared_key mismatch");
        }
        if self.users.is_empty() {
            return None;
        }
        let known = self.users.get(&ping.user).is_some_and(|password| {
            ping.password == digest(&[salt, ping.user.as_bytes(), password.as_bytes()])
        });
        (!known).then_some("username/password mismatch")
    }
}

/// What a sender shows of itself.
struct Ping {
    name: String,
    salt: Vec<u8>,
    digest: String,
    user: String,
    password: String,
}

impl Ping {
    fn read(frame: &[u8]) -> Result<Self, Refused> {
        const EXPECTED: Refused = Refused::Malformed("a PING is expected; has the sender a shared key?");
        let mut reader = Reader { rest: frame };
        if reader.head()? != Head::Array(6) || reader.text()? != "PING" {
            return Err(EXPECTED);
        }
        let name = reader.text()?.into_owned();
        let salt = match reader.head()? {
            Head::Text(length) | Head::Binary(length) => reader.take(length)?.to_vec(),
            _ => return Err(EXPECTED),
        };
        let mut text = || Ok::<_, Refused>(reader.text()?.into_owned());
        Ok(Self { name, salt, digest: text()?, user: text()?, password: text()? })
    }
}

/// Lets the sender show that it knows the key.
pub(super) async fn greet(
    security: &Security,
    frames: &mut Frames,
    writer: &mut WriteHalf<Box<dyn Duplex>>,
) -> Result<(), Ended> {
    let greeted = async {
        let (mut nonce, mut salt) = ([0; 16], [0; 16]);
        let random = [&mut nonce, &mut salt].into_iter().try_for_each(|bytes| getrandom::fill(bytes));
        random.map_err(|_| Ended::Denied("the system has no random numbers for a handshake"))?;
        let salt = if security.users.is_empty() { &[][..] } else { &salt };
        write(writer, &helo(&nonce, salt)).await?;
        let ping = Ping::read(&frames.next().await?)?;
        let denied = security.judge(&ping, &nonce, salt);
        let own = digest(&[ping.salt.as_slice(), NAME.as_bytes(), &nonce, security.key.as_bytes()]);
        write(writer, &pong(denied, &own)).await?;
        match denied {
            None => Ok(()),
            Some("shared_key mismatch") => Err(Ended::Denied("the sender's shared key is another")),
            Some(_) => Err(Ended::Denied("the sender's user or password is wrong")),
        }
    };
    timeout(PATIENCE, greeted).await.unwrap_or(Err(Ended::Slow(PATIENCE.as_secs())))
}

async fn write(writer: &mut WriteHalf<Box<dyn Duplex>>, bytes: &[u8]) -> std::io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

fn helo(nonce: &[u8], salt: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Memory does not fail to be written.
    _ = encode::write_array_len(&mut out, 2);
    _ = encode::write_str(&mut out, "HELO");
    _ = encode::write_map_len(&mut out, 3);
    _ = encode::write_str(&mut out, "nonce");
    _ = encode::write_bin(&mut out, nonce);
    _ = encode::write_str(&mut out, "auth");
    _ = encode::write_bin(&mut out, salt);
    _ = encode::write_str(&mut out, "keepalive");
    _ = encode::write_bool(&mut out, true);
    out
}

fn pong(denied: Option<&str>, own: &str) -> Vec<u8> {
    let mut out = Vec::new();
    _ = encode::write_array_len(&mut out, 5);
    _ = encode::write_str(&mut out, "PONG");
    _ = encode::write_bool(&mut out, denied.is_none());
    let (name, own) = if denied.is_none() { (NAME, own) } else { ("", "") };
    for text in [denied.unwrap_or_default(), name, own] {
        _ = encode::write_str(&mut out, text);
    }
    out
}

/// SHA-512 of the parts, in hexadecimal.
fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = Sha512::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
