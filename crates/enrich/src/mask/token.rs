//! A token, which is a run of letters, digits, `_`, `-`, `.` and `@`: what it is, and what it becomes.

use super::bytes::{AT, CLASS, DASH, DIGIT, DOT, NOT_HEX, at, digits, slice};
use super::class::Class;
use super::name::{self, Kind};
use super::pass::Pass;
use super::{context, number, place, time};

impl Pass<'_> {
    /// Masks the token from `start` to `end`, whose classes of bytes are in `flags`. Gives the place to go on from: behind
    /// what was read, which may be more than the token (`10 minutes`) or less (`10.0.0.1-10.0.0.5`).
    pub(super) fn token(&mut self, token_start: usize, mut end: usize, flags: u8) -> usize {
        let bytes = self.bytes;
        let mut start = token_start;
        while start < end && CLASS[at(bytes, start) as usize] & (DOT | AT | DASH) != 0 {
            start += 1;
        }
        // What directly follows a class is the rest of a name, however it looks.
        if token_start == self.rest && at(bytes, token_start) != b'@' {
            end = without_mailbox(bytes, start, end);
            if flags & DIGIT != 0 {
                self.name(start, end);
            }
            return end;
        }
        let next = at(bytes, end);
        if next == b'/'
            && let Some(end) = self.before_slash(token_start, start, end)
        {
            return end;
        }
        if start == end {
            return end;
        }
        if next == b':'
            && let Some(end) = self.before_colon(token_start, start, end, flags)
        {
            return end;
        }
        let is_hash = matches!(end - start, 5..=16)
            && start == token_start
            && flags & (NOT_HEX | DOT | DASH | AT) == 0
            && flags & DIGIT != 0
            && token_start > 0
            && matches!(at(bytes, token_start - 1), b'{' | b'@');
        if is_hash {
            // `PendingIntent{1234567`, `Object@1f2a3`: the hash of an object.
            return self.replace(start, end, Class::Hex);
        }
        if at(bytes, start).is_ascii_digit()
            && let Some(place) = self.number(token_start, start)
        {
            return place;
        }
        while end > start && CLASS[at(bytes, end - 1) as usize] & (DOT | DASH) != 0 {
            end -= 1;
        }
        if flags & AT != 0 {
            if place::is_email(slice(bytes, start, end)) {
                return self.replace(start, end, Class::Email);
            }
            end = without_mailbox(bytes, start, end);
        }
        if flags & DOT != 0
            && let Some(host_end) = place::host(bytes, start, end)
        {
            return self.replace(start, host_end, Class::Host);
        }
        if flags & DIGIT != 0 {
            self.name(start, end);
        }
        end
    }

    /// A token before a slash: a relative path, or the name of a protocol with its version.
    fn before_slash(&mut self, token_start: usize, start: usize, end: usize) -> Option<usize> {
        let bytes = self.bytes;
        if slice(bytes, start, end).eq_ignore_ascii_case(b"http") {
            let version = end + 1 + digits(bytes, end + 1);
            let minor = if at(bytes, version) == b'.' { digits(bytes, version + 1) } else { 0 };
            return Some(if minor > 0 { version + 1 + minor } else { version });
        }
        let may_begin = at(bytes, token_start) == b'.' || (start < end && !at(bytes, start).is_ascii_digit());
        if !may_begin || token_start < self.no_relative {
            return None;
        }
        match place::relative_path(bytes, token_start) {
            Ok(end) => Some(self.replace_value(token_start, end, Class::Path)),
            Err(looked) => {
                self.no_relative = looked;
                None
            }
        }
    }

    /// A token before a colon: the scheme of a URL, the drive of a path, the first group of an address.
    fn before_colon(&mut self, token_start: usize, start: usize, end: usize, flags: u8) -> Option<usize> {
        let bytes = self.bytes;
        if let Some(url_end) = place::url(bytes, start, end) {
            return Some(self.replace_value(start, url_end, Class::Url));
        }
        if end - start == 1
            && at(bytes, start).is_ascii_alphabetic()
            && let Some(path_end) = place::windows_path(bytes, end)
        {
            return Some(self.replace_value(start, path_end, Class::Path));
        }
        if flags & NOT_HEX != 0 || start != token_start {
            return None;
        }
        if let Some(pci_end) = place::pci(bytes, start) {
            return Some(self.replace(start, pci_end, Class::Hex));
        }
        if let Some(mac_end) = place::mac(bytes, start) {
            return Some(self.replace(start, mac_end, Class::Hex));
        }
        place::ip6(bytes, start).map(|ip_end| self.replace(start, ip_end, Class::Ip))
    }

    /// A token that begins with a digit and is a time, address or number. `token_start` is before its sign.
    pub(super) fn number(&mut self, token_start: usize, start: usize) -> Option<usize> {
        let bytes = self.bytes;
        let count = digits(bytes, start);
        let next = at(bytes, start + count);
        if count <= 4
            && start == token_start
            && let Some((lead, end)) = self.dated(start)
        {
            return Some(self.replace(lead, end, Class::Time));
        }
        if (matches!(next, b':' | b'/' | b'-' | b'.' | b' ') || count == 8)
            && let Some(end) = time::from_digit(bytes, start)
        {
            return Some(self.replace(start, end, Class::Time));
        }
        if next == b'.'
            && let Some(end) = place::ip4(bytes, start)
        {
            let is_version = context::after_version(bytes, token_start);
            return Some(self.replace(start, end, if is_version { Class::Num } else { Class::Ip }));
        }
        let number::Masked { class, end } = number::read(bytes, start, self.key)?;
        // `ge-0/0/3`, `init/0`: numbers between slashes are places, not counts.
        let is_place = token_start > 0 && at(bytes, token_start - 1) == b'/';
        let is_count = matches!(class, Class::Zero | Class::RatioNone | Class::RatioPart | Class::RatioFull);
        if is_place && is_count {
            return Some(self.replace(start, start + count, Class::Num));
        }
        // A sign, not a dash: exactly one, and nothing before it that it could join.
        let is_negative = start == token_start + 1
            && at(bytes, token_start) == b'-'
            && (token_start == 0 || !matches!(at(bytes, token_start - 1), b')' | b']' | b'"' | b'\''));
        if is_negative && matches!(class, Class::Num | Class::Float | Class::Zero) {
            return Some(self.replace(token_start, end, Class::Neg));
        }
        Some(self.replace(start, end, class))
    }

    /// A name with digits: its atoms one by one, neighbours that vary as one.
    fn name(&mut self, start: usize, end: usize) {
        let bytes = self.bytes;
        let mut place = start;
        let mut before: &[u8] = &[];
        while place < end {
            if name::is_joint(at(bytes, place)) {
                place += 1;
                continue;
            }
            let atom = name::atom(bytes, place, end, before);
            before = slice(bytes, atom.start, atom.end);
            // `blk_-1608`: the sign belongs to the number.
            let signed = atom.start - usize::from(slice(bytes, start, atom.start).ends_with(b"_-"));
            match atom.kind {
                Kind::Word => place = atom.end,
                Kind::Mixed => place = self.mixed(atom.start, atom.end),
                kind => {
                    // `40-63` is a range, not a name.
                    let is_range =
                        kind == Kind::Number && place == start && is_number(bytes, atom.end + 1, end);
                    let last = if is_range { None } else { last_variable(bytes, atom.end, end) };
                    let zeros = kind == Kind::Hex && before.iter().all(|byte| matches!(byte, b'0' | b'x'));
                    place = match last {
                        Some(last) => self.replace(signed, last, Class::Id),
                        // `0x0` is a zero: often "no error".
                        None if zeros => self.replace(atom.start, atom.end, Class::ZeroHex),
                        None => self.replace(signed, atom.end, kind.class()),
                    };
                }
            }
        }
    }

    /// The digits of `eth0`, `v1.26.3` or `IO80211Peer`.
    fn mixed(&mut self, start: usize, end: usize) -> usize {
        let mut place = start;
        while place < end {
            if !at(self.bytes, place).is_ascii_digit() {
                place += 1;
                continue;
            }
            let mut after = place;
            while after < end && (at(self.bytes, after).is_ascii_digit() || at(self.bytes, after) == b'.') {
                after += 1;
            }
            place = self.replace(place, after, Class::Num);
        }
        end
    }
}

/// The end of what stands before an `@`: `Object@1f2a3b` and `root@10.0.0.1` are two tokens, but a chain of more is one.
fn without_mailbox(bytes: &[u8], start: usize, end: usize) -> usize {
    let token = slice(bytes, start, end);
    match memchr::memchr(b'@', token) {
        Some(sign) if memchr::memrchr(b'@', token) == Some(sign) => start + sign,
        _ => end,
    }
}

/// Whether digits fill a stretch.
fn is_number(bytes: &[u8], start: usize, end: usize) -> bool {
    start < end && digits(bytes, start) == end - start
}

/// The end of the last variable atom of the chain after `start`, if one follows. Short words between belong to the
/// identifier (`attempt_2015_0001_m_000_0`); longer ones tell something and end it.
fn last_variable(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let (mut last, mut place) = (None, start);
    while place < end && matches!(at(bytes, place), b'-' | b'_') {
        while place < end && matches!(at(bytes, place), b'-' | b'_') {
            place += 1;
        }
        let atom = name::atom(bytes, place, end, &[]);
        if atom.end <= place {
            break;
        }
        match atom.kind {
            Kind::Word if atom.end - atom.start > 2 => break,
            Kind::Word => {}
            _ => last = Some(atom.end),
        }
        place = atom.end;
    }
    last
}
