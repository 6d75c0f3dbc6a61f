//! Names with digits in them: what is random becomes a class, what means something stays.
//!
//! A name is atoms (words, numbers, mixtures) joined by `-`, `_` or `.`. The words stay: `web-7c5ddbdf54-x2v9k` is
//! `web-<id>`, `eth0` is `eth<num>`, `x86_64` is itself.

use super::bytes::{DIGIT, JOINT, at, class, digits, is_alphanumeric, slice, starts_with};
use super::class::Class;
use super::words::Words;

/// What an atom is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing variable.
    Word,
    /// Digits, or groups of digits joined by dots.
    Number,
    /// Letters and digits of a name: `eth0`.
    Mixed,
    /// Hexadecimal with letters and digits.
    Hex,
    /// Random letters and digits.
    Random,
    /// 8-4-4-4-12.
    Uuid,
}

impl Kind {
    /// The class of an atom that stands alone.
    pub(super) const fn class(self) -> Class {
        match self {
            Self::Word => Class::Verbatim,
            Self::Number | Self::Mixed => Class::Num,
            Self::Hex => Class::Hex,
            Self::Random => Class::Id,
            Self::Uuid => Class::Uuid,
        }
    }
}

/// One atom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Atom {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The atom at `start`, not past `end`. `before` is the atom before it, empty at the start of a name.
pub(super) fn atom(bytes: &[u8], start: usize, end: usize, before: &[u8]) -> Atom {
    if let Some(uuid) = uuid(bytes, start) {
        return Atom { kind: Kind::Uuid, start, end: uuid };
    }
    let (mut after, mut flags) = (start, 0);
    for byte in slice(bytes, start, end) {
        let class = class(*byte);
        if class & JOINT != 0 {
            break;
        }
        flags |= class;
        after += 1;
    }
    let text = slice(bytes, start, after);
    let kind = match flags {
        _ if flags & DIGIT == 0 => return Atom { kind: Kind::Word, start, end: after },
        DIGIT if NUMBERED.get(before).is_none() => Kind::Number,
        DIGIT => Kind::Word,
        _ => mixture(text, !before.is_empty()),
    };
    if matches!(kind, Kind::Number | Kind::Mixed) && at(bytes, after.saturating_sub(1)).is_ascii_digit() {
        // `1.8.0` and `v1.26.3` are one number each.
        while at(bytes, after) == b'.' && digits(bytes, after + 1) > 0 && after < end {
            let next = after + 1 + digits(bytes, after + 1);
            if next < end && !is_joint(at(bytes, next)) {
                break;
            }
            after = next;
        }
    } else if kind == Kind::Word && is_protocol(text) && at(bytes, after) == b'.' {
        // `TLSv1.3`
        after += 1 + digits(bytes, after + 1);
    } else if kind == Kind::Word
        && is_version(text)
        && at(bytes, after) == b'.'
        && digits(bytes, after + 1) > 0
    {
        // `v1` is the name of an interface, `v1.26` the version of a program.
        let number = Atom { kind: Kind::Mixed, start, end: after + 1 + digits(bytes, after + 1) };
        return Atom { end: dotted_digits(bytes, number.end), ..number };
    }
    Atom { kind, start, end: after }
}

fn dotted_digits(bytes: &[u8], mut end: usize) -> usize {
    while at(bytes, end) == b'.' && digits(bytes, end + 1) > 0 {
        end += 1 + digits(bytes, end + 1);
    }
    end
}

/// What joins atoms.
pub(super) fn is_joint(byte: u8) -> bool {
    class(byte) & JOINT != 0
}

/// The end of a UUID.
pub(super) fn uuid(bytes: &[u8], start: usize) -> Option<usize> {
    if at(bytes, start + 8) != b'-' {
        return None;
    }
    let text = slice(bytes, start, start + 36);
    let shaped = text.len() == 36
        && text.iter().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
        && !at(bytes, start + 36).is_ascii_alphanumeric();
    shaped.then_some(start + 36)
}

/// What letters and digits without a joint are.
fn mixture(text: &[u8], is_inner: bool) -> Kind {
    let (mut runs, mut longest, mut run) = (0, 0, 0);
    let (mut is_hex, mut is_lower, mut was_digit) = (true, true, None);
    for byte in text {
        let is_digit = byte.is_ascii_digit();
        is_hex &= byte.is_ascii_hexdigit();
        is_lower &= is_digit || byte.is_ascii_lowercase();
        if was_digit != Some(is_digit) {
            runs += 1;
            run = 0;
        }
        run += 1;
        if !is_digit {
            longest = longest.max(run);
        }
        was_digit = Some(is_digit);
    }
    let length = text.len();
    if length <= 10 && (KNOWN.get(text).is_some() || is_version(text) || is_protocol(text)) {
        return Kind::Word;
    }
    if length > 2
        && slice(text, 0, 2).eq_ignore_ascii_case(b"0x")
        && slice(text, 2, length).iter().all(u8::is_ascii_hexdigit)
    {
        return Kind::Hex;
    }
    // Seven is what Git and Java's object hashes have; `face12` is a name.
    if is_hex && length >= 6 && (runs > 2 || length >= 7) {
        return Kind::Hex;
    }
    // Kubernetes ends the names of pods with five of these.
    let is_pod_suffix = length == 5
        && is_lower
        && is_inner
        && text.iter().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(byte));
    if is_pod_suffix && runs > 2 {
        return Kind::Random;
    }
    // `x2v9k` and keys in base 64 change between letters and digits all the time; `nat64_post` and `IO80211Peer` do not.
    if runs >= 4 && (length < runs * 3 || longest <= 3 || length >= 20) {
        return Kind::Random;
    }
    Kind::Mixed
}

/// `v1`, `V2`, `v2beta1`, `v1alpha1`: interfaces and verbosity, not versions of programs.
fn is_version(text: &[u8]) -> bool {
    if !matches!(at(text, 0), b'v' | b'V') {
        return false;
    }
    let count = digits(text, 1);
    let rest = slice(text, 1 + count, text.len());
    (1..=2).contains(&count) && (rest.is_empty() || rest.starts_with(b"beta") || rest.starts_with(b"alpha"))
}

/// `TLSv1`, `SSLv3`.
fn is_protocol(text: &[u8]) -> bool {
    let name = slice(text, 0, 4);
    (name.eq_ignore_ascii_case(b"tlsv") || name.eq_ignore_ascii_case(b"sslv")) && text.len() <= 6
}

/// Words whose following number belongs to them: `UTF-8`, `SHA-256`, `x86_64`.
static NUMBERED: Words<(), 6> =
    Words::new([("utf", ()), ("sha", ()), ("aes", ()), ("x86", ()), ("raid", ()), ("ed", ())]);

/// The name of a user after the word `user` at `start`: attackers try any name, so each would be a pattern of its own.
/// Names of power stay: a log-in of root asks more of the reader.
pub(super) fn user(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let end = start + 4;
    if !starts_with(bytes, start, b"user") || !matches!(at(bytes, end), b' ' | b'=') {
        return None;
    }
    let name = end + 1;
    let length = slice(bytes, name, bytes.len()).iter().take_while(|byte| is_user_byte(**byte)).count();
    let name_end = name + length;
    let before = slice(bytes, start.saturating_sub(9), start);
    let rest = |word: &[u8]| starts_with(bytes, name_end, word);
    let is_named = match at(bytes, end) {
        b'=' => !before.ends_with(b"."),
        // Prose goes on after "user"; a name is followed by where from, by whom, or by the end.
        b' ' => {
            let introduced =
                [&b"invalid "[..], b"Invalid ", b"illegal ", b"Illegal ", b"unknown ", b"Unknown ", b"for "]
                    .iter()
                    .any(|word| before.ends_with(word));
            let ended = name_end >= bytes.len()
                || rest(b" from")
                || rest(b" by ")
                || rest(b" [")
                || rest(b",")
                || rest(b"\n");
            introduced && ended
        }
        _ => false,
    };
    (is_named && is_common_user(slice(bytes, name, name_end))).then_some((name, name_end))
}

/// Whether a text is nothing but the name of a user without power.
pub(super) fn is_common_user(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_user_byte(*byte)) && STAYS.get(text).is_none()
}

fn is_user_byte(byte: u8) -> bool {
    is_alphanumeric(byte) || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'\\')
}

/// Users of power, and words that are no user.
#[rustfmt::skip]
static STAYS: Words<(), 13> = Words::new([
    ("root", ()), ("admin", ()), ("administrator", ()), ("system", ()), ("sa", ()), ("unknown", ()),
    ("null", ()), ("none", ()), ("anonymous", ()), ("from", ()), ("true", ()), ("false", ()), ("by", ()),
]);

/// Words with digits that mean something. Closed, so that a pattern never depends on what else was seen.
#[rustfmt::skip]
static KNOWN: Words<(), 168> = Words::new([
    ("ipv4", ()), ("ipv6", ()), ("ip4", ()), ("ip6", ()), ("inet6", ()), ("tcp4", ()), ("tcp6", ()),
    ("udp4", ()), ("udp6", ()), ("nat64", ()), ("dhcpv6", ()), ("dhcp4", ()), ("dhcp6", ()),
    ("icmpv6", ()), ("utf8", ()), ("utf16", ()), ("utf32", ()), ("utf8mb4", ()), ("latin1", ()),
    ("base64", ()), ("base32", ()), ("b64", ()), ("md5", ()), ("sha1", ()), ("sha224", ()),
    ("sha256", ()), ("sha384", ()), ("sha512", ()), ("sha3", ()), ("crc32", ()), ("crc32c", ()),
    ("crc16", ()), ("aes128", ()), ("aes256", ()), ("x509", ()), ("ed25519", ()), ("rsa2048", ()),
    ("pkcs7", ()), ("pkcs8", ()), ("pkcs12", ()), ("krb5", ()), ("oauth2", ()), ("oauth1", ()),
    ("http2", ()), ("http3", ()), ("http1", ()), ("h2", ()), ("h2c", ()), ("h3", ()), ("s3", ()),
    ("s3a", ()), ("k8s", ()), ("k3s", ()), ("ec2", ()), ("i18n", ()), ("l10n", ()), ("l2", ()),
    ("l3", ()), ("l4", ()), ("l7", ()), ("p50", ()), ("p90", ()), ("p95", ()), ("p99", ()), ("p999", ()),
    ("ext2", ()), ("ext3", ()), ("ext4", ()), ("fat32", ()), ("nfs3", ()), ("nfs4", ()), ("nfsv3", ()),
    ("nfsv4", ()), ("raid0", ()), ("raid1", ()), ("raid5", ()), ("raid6", ()), ("raid10", ()),
    ("jbd2", ()), ("lz4", ()), ("bz2", ()), ("bzip2", ()), ("7z", ()), ("mp3", ()), ("mp4", ()),
    ("h264", ()), ("h265", ()), ("int8", ()), ("int16", ()), ("int32", ()), ("int64", ()), ("uint8", ()),
    ("uint16", ()), ("uint32", ()), ("uint64", ()), ("float32", ()), ("float64", ()), ("i32", ()),
    ("i64", ()), ("u8", ()), ("u16", ()), ("u32", ()), ("u64", ()), ("f32", ()), ("f64", ()),
    ("win32", ()), ("win64", ()), ("x86", ()), ("x64", ()), ("x32", ()), ("i386", ()), ("i486", ()),
    ("i586", ()), ("i686", ()), ("amd64", ()), ("arm64", ()), ("armv7", ()), ("armv7l", ()),
    ("armv8", ()), ("aarch64", ()), ("s390x", ()), ("ppc64", ()), ("ppc64le", ()), ("log4j", ()),
    ("log4j2", ()), ("log4net", ()), ("slf4j", ()), ("neo4j", ()), ("sqlite3", ()), ("python2", ()),
    ("python3", ()), ("web3", ()), ("route53", ()), ("e2e", ()), ("p2p", ()), ("b2b", ()), ("2fa", ()),
    ("3d", ()), ("2d", ()), ("1st", ()), ("2nd", ()), ("3rd", ()), ("2xx", ()), ("3xx", ()), ("4xx", ()),
    ("5xx", ()), ("e11000", ()), ("mp2", ()), ("ps2", ()), ("usb2", ()), ("usb3", ()), ("wpa2", ()),
    ("wpa3", ()), ("80211", ()), ("smbv1", ()), ("smb1", ()), ("smb2", ()), ("smb3", ()), ("cgroup2", ()),
    ("cgroup1", ()), ("cgroupv1", ()), ("cgroupv2", ()), ("e2fsck", ()), ("ssh2", ()), ("ssh1", ()),
    ("bgp4", ()), ("ospfv3", ()), ("java8", ()),
]);
