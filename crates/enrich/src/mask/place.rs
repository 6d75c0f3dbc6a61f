//! Where things are: paths, URLs, addresses, hosts, mail boxes.
//!
//! Every function takes a place and gives the place after what it recognised, or `None`; those for paths tell instead how
//! far they looked, so that nothing is looked at twice.

use memchr::memrchr;

use super::bytes::{BREAK, at, class, digits, is_alphanumeric, is_space, number, slice, starts_with};
use super::words::Words;

/// The end of a URL whose scheme begins at `start` and ends at `colon`.
pub(super) fn url(bytes: &[u8], start: usize, colon: usize) -> Option<usize> {
    if !at(bytes, start).is_ascii_alphabetic() || slice(bytes, colon, colon + 3) != b"://" {
        return None;
    }
    let mut end = colon + 3;
    while !is_space(at(bytes, end)) && !matches!(at(bytes, end), b'"' | b'<' | b'>' | b'`' | b'\'' | b'|') {
        if at(bytes, end) == b',' && !is_alphanumeric(at(bytes, end + 1)) {
            break;
        }
        end += 1;
    }
    let end = without_closing(bytes, colon + 3, end);
    (end > colon + 3).then_some(end)
}

/// The end of an absolute path that begins with `/` at `start`.
pub(super) fn absolute_path(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let end = path_end(bytes, start);
    let components = components(slice(bytes, start, end));
    let first_end = (start + 1..end).find(|place| at(bytes, *place) == b'/').unwrap_or(end);
    let is_root = || {
        matches!(
            slice(bytes, start, first_end),
            b"/tmp"
                | b"/var"
                | b"/etc"
                | b"/dev"
                | b"/proc"
                | b"/sys"
                | b"/usr"
                | b"/home"
                | b"/opt"
                | b"/root"
                | b"/mnt"
                | b"/boot"
                | b"/run"
                | b"/srv"
                | b"/lib"
                | b"/bin"
                | b"/sbin"
                | b"/data"
        )
    };
    if components >= 2 || (components == 1 && is_root()) {
        return Ok(end);
    }
    // After the method of a request even `/login.php` varies; the probes of an orchestrator tell something.
    let is_probe = matches!(
        slice(bytes, start, first_end),
        b"/healthz"
            | b"/health"
            | b"/readyz"
            | b"/ready"
            | b"/livez"
            | b"/live"
            | b"/metrics"
            | b"/status"
            | b"/ping"
    );
    if components == 1 && !is_probe && after_method(bytes, start) { Ok(end) } else { Err(end) }
}

/// The end of a relative path that begins with a token at `start`: two slashes or more, or a dot before the first.
pub(super) fn relative_path(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let end = path_end(bytes, start);
    let path = slice(bytes, start, end);
    let slashes = path.iter().filter(|byte| **byte == b'/').count();
    let is_dotted = at(path, 0) == b'.';
    let has_lower = path.iter().any(u8::is_ascii_lowercase);
    // `ge-0/0/3` is a port.
    let first_slash = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    let has_names =
        slice(path, first_slash, path.len()).iter().any(u8::is_ascii_alphabetic) || !path.is_ascii();
    let is_path =
        (slashes >= 2 || is_dotted) && has_lower && has_names && components(path) > usize::from(!is_dotted);
    if is_path { Ok(end) } else { Err(end) }
}

/// The end of `C:\Windows\x` or `C:/x`, whose colon is at `colon`.
pub(super) fn windows_path(bytes: &[u8], colon: usize) -> Option<usize> {
    let rooted = matches!(at(bytes, colon + 1), b'\\' | b'/')
        && (is_alphanumeric(at(bytes, colon + 2)) || is_space(at(bytes, colon + 2)));
    rooted.then(|| windows_end(bytes, colon + 2))
}

/// The end of `\\server\share`.
pub(super) fn unc_path(bytes: &[u8], start: usize) -> Option<usize> {
    // `\\?\` and `\\.\` name devices.
    let is_device = matches!(slice(bytes, start + 1, start + 4), b"\\?\\" | b"\\.\\");
    let name = if is_device { start + 4 } else { start + 2 };
    if at(bytes, start + 1) != b'\\' || !is_alphanumeric(at(bytes, name)) {
        return None;
    }
    let end = windows_end(bytes, name);
    slice(bytes, name, end).contains(&b'\\').then_some(end)
}

/// Whether a request's method stands before a place: its target is a path even if short.
pub(super) fn after_method(bytes: &[u8], start: usize) -> bool {
    let before = slice(bytes, start.saturating_sub(9), start);
    [&b"GET "[..], b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"PATCH ", b"OPTIONS ", b"PROPFIND ", b"CONNECT "]
        .iter()
        .any(|method| before.ends_with(method))
}

/// The end of an IPv4 address with what belongs to it: a port or the length of a prefix.
pub(super) fn ip4(bytes: &[u8], start: usize) -> Option<usize> {
    let mut end = start;
    for group in 0..4 {
        if group > 0 {
            if at(bytes, end) != b'.' {
                return None;
            }
            end += 1;
        }
        let count = digits(bytes, end);
        if !(1..=3).contains(&count) || number(bytes, end, count) > 255 {
            return None;
        }
        end += count;
    }
    if at(bytes, end) == b'.' && is_alphanumeric(at(bytes, end + 1)) || is_alphanumeric(at(bytes, end)) {
        return None;
    }
    if at(bytes, end) == b'/' && (1..=2).contains(&digits(bytes, end + 1)) {
        let prefix = end + 1 + digits(bytes, end + 1);
        if !is_alphanumeric(at(bytes, prefix)) && at(bytes, prefix) != b'/' {
            return Some(prefix);
        }
    }
    Some(port(bytes, end))
}

/// The end of an IPv6 address: eight groups, or fewer around `::`. A `::` of a program's name has no digits beside it.
pub(super) fn ip6(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut end, mut groups, mut gap, mut has_digit) = (start, 0, false, false);
    loop {
        if slice(bytes, end, end + 2) == b"::" {
            if gap {
                return None;
            }
            gap = true;
            end += 2;
        } else if groups > 0 {
            if at(bytes, end) != b':' || groups == 8 || !at(bytes, end + 1).is_ascii_hexdigit() {
                break;
            }
            end += 1;
        }
        let count = slice(bytes, end, end + 5).iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if count == 0 {
            break;
        }
        // `::ffff:10.0.0.1`
        if gap && at(bytes, end + count) == b'.' {
            let embedded = ip4(bytes, end)?;
            return Some(embedded);
        }
        if count > 4 || is_alphanumeric(at(bytes, end + count)) {
            return None;
        }
        has_digit |= slice(bytes, end, end + count).iter().any(u8::is_ascii_digit);
        groups += 1;
        end += count;
        if groups > 8 {
            return None;
        }
    }
    // `0::<num>`: a group that was no number of an address is masked already.
    let goes_on = is_alphanumeric(at(bytes, end)) || at(bytes, end) == b'<' && at(bytes, end - 1) == b':';
    if goes_on || !(groups == 8 && !gap || gap && has_digit && groups < 8) {
        return None;
    }
    // `%eth0` names the interface, `/64` the prefix.
    if at(bytes, end) == b'%' {
        let mut zone = end + 1;
        while is_alphanumeric(at(bytes, zone)) {
            zone += 1;
        }
        end = zone;
    } else if at(bytes, end) == b'/' && (1..=3).contains(&digits(bytes, end + 1)) {
        end += 1 + digits(bytes, end + 1);
    } else if groups == 8 {
        end = port(bytes, end);
    }
    Some(end)
}

/// The end of `0000:86:00` or `0000:00:1f.3`, the place of a PCI device.
pub(super) fn pci(bytes: &[u8], start: usize) -> Option<usize> {
    let text = slice(bytes, start, start + 10);
    let shaped = text.len() == 10
        && text.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b':',
            _ => byte.is_ascii_hexdigit(),
        });
    let end = start + 10;
    let end = if at(bytes, end) == b'.' && digits(bytes, end + 1) == 1 { end + 2 } else { end };
    (shaped && !is_alphanumeric(at(bytes, end)) && at(bytes, end) != b':').then_some(end)
}

/// The end of `00:1a:2b:3c:4d:5e`; longer chains (InfiniBand, fingerprints) too.
pub(super) fn mac(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut end, mut groups) = (start, 0);
    while groups < 64
        && at(bytes, end).is_ascii_hexdigit()
        && at(bytes, end + 1).is_ascii_hexdigit()
        && !is_alphanumeric(at(bytes, end + 2))
    {
        groups += 1;
        end += 2;
        if at(bytes, end) != b':' {
            break;
        }
        end += 1;
    }
    let end = if at(bytes, end.saturating_sub(1)) == b':' { end - 1 } else { end };
    (groups >= 6 && !is_alphanumeric(at(bytes, end)) && at(bytes, end) != b':').then_some(end)
}

/// The end of `:8080`, or of nothing.
fn port(bytes: &[u8], end: usize) -> usize {
    let count = if at(bytes, end) == b':' { digits(bytes, end + 1) } else { 0 };
    let after = end + 1 + count;
    let fits = (1..=5).contains(&count)
        && !is_alphanumeric(at(bytes, after))
        && !(at(bytes, after) == b':' && at(bytes, after + 1).is_ascii_digit());
    if fits { after } else { end }
}

/// The end of a host with its port, if the token from `start` to `end` is a host.
pub(super) fn host(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    is_host(slice(bytes, start, end)).then(|| port(bytes, end))
}

/// Whether the token is a mail box: `name@domain.tld`.
pub(super) fn is_email(token: &[u8]) -> bool {
    let mut parts = token.split(|byte| *byte == b'@');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(domain), None) => !name.is_empty() && is_host(domain),
        _ => false,
    }
}

/// A dotted name that ends as hosts end, and neither as classes begin nor as files end.
fn is_host(token: &[u8]) -> bool {
    let Some(dot) = memrchr(b'.', token) else { return false };
    let last = slice(token, dot + 1, token.len());
    let end = ENDS.get(last);
    // Most dotted names are classes and files and end here.
    if end.is_none() && last.len() != 2 {
        return false;
    }
    let (mut labels, mut first, mut second): (usize, &[u8], &[u8]) = (0, &[], &[]);
    for label in slice(token, 0, dot).split(|byte| *byte == b'.') {
        if label.is_empty() || !label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
            return false;
        }
        if labels == 0 {
            first = label;
        }
        second = label;
        labels += 1;
    }
    // `com.apple.cts`, `io.netty.channel.local`: names of programs are written backwards.
    if matches!(first, b"com" | b"org" | b"net" | b"io" | b"java" | b"javax" | b"sun" | b"android" | b"jdk") {
        return false;
    }
    if matches!(end, Some(End::Generic)) {
        // Names that Kubernetes gives to its taints and labels tell what happened.
        let is_label =
            matches!(second, b"kubernetes" | b"k8s") && last == b"io" && labels > 1 && first != b"registry";
        return !is_label
            && (last.iter().all(u8::is_ascii_lowercase) || last.iter().all(u8::is_ascii_uppercase));
    }
    // Two letters end files and variables as often as hosts: nothing in capitals, and signs of a host before.
    if token.iter().any(u8::is_ascii_uppercase) || !last.iter().all(u8::is_ascii_lowercase) {
        return false;
    }
    let is_common =
        matches!(second, b"com" | b"co" | b"edu" | b"ac" | b"org" | b"net" | b"gov" | b"ne" | b"or");
    match end {
        _ if labels >= 2 && is_common => true,
        Some(_) if labels >= 2 => labels >= 3 || first == b"www" || second.len() > 3,
        Some(_) => matches!(last, b"de" | b"fr" | b"ru" | b"cn" | b"jp" | b"nl" | b"br" | b"uk"),
        None => false,
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Generic,
    Country,
}

/// What hosts end with: common generic ends, ends of private networks, and the larger countries.
#[rustfmt::skip]
static ENDS: Words<End, 75> = Words::new([
    ("com", End::Generic), ("net", End::Generic), ("org", End::Generic), ("edu", End::Generic),
    ("gov", End::Generic), ("mil", End::Generic), ("io", End::Generic), ("dev", End::Generic),
    ("cloud", End::Generic), ("local", End::Generic), ("internal", End::Generic),
    ("localdomain", End::Generic), ("lan", End::Generic), ("svc", End::Generic), ("corp", End::Generic),
    ("test", End::Generic), ("example", End::Generic), ("invalid", End::Generic), ("info", End::Generic),
    ("biz", End::Generic), ("xyz", End::Generic), ("online", End::Generic), ("site", End::Generic),
    ("arpa", End::Generic), ("tk", End::Generic), ("onion", End::Generic), ("uk", End::Country),
    ("de", End::Country), ("fr", End::Country), ("cn", End::Country), ("jp", End::Country),
    ("kr", End::Country), ("ru", End::Country), ("br", End::Country), ("au", End::Country),
    ("ca", End::Country), ("ch", End::Country), ("nl", End::Country), ("se", End::Country),
    ("no", End::Country), ("es", End::Country), ("it", End::Country), ("pl", End::Country),
    ("eu", End::Country), ("us", End::Country), ("tv", End::Country), ("hk", End::Country),
    ("tw", End::Country), ("sg", End::Country), ("in", End::Country), ("ua", End::Country),
    ("cz", End::Country), ("at", End::Country), ("be", End::Country), ("dk", End::Country),
    ("fi", End::Country), ("gr", End::Country), ("hu", End::Country), ("ie", End::Country),
    ("il", End::Country), ("mx", End::Country), ("nz", End::Country), ("pt", End::Country),
    ("ro", End::Country), ("tr", End::Country), ("za", End::Country), ("vn", End::Country),
    ("ar", End::Country), ("cl", End::Country), ("co", End::Country), ("id", End::Country),
    ("ir", End::Country), ("me", End::Country), ("th", End::Country), ("my", End::Country),
]);

/// How many parts between slashes hold something besides dots.
fn components(path: &[u8]) -> usize {
    path.split(|byte| *byte == b'/').filter(|part| part.iter().any(|byte| is_alphanumeric(*byte))).count()
}

/// The end of the bytes that a path may hold; a query belongs to it.
fn path_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        let byte = at(bytes, end);
        let inside = class(byte) != BREAK
            || matches!(byte, b'/' | b'+' | b'%' | b'~' | b'$' | b'#' | b'*' | b'=' | b'{' | b'}' | b'!');
        if byte == b'?' && end > start && !is_space(at(bytes, end + 1)) {
            while !is_space(at(bytes, end))
                && !matches!(at(bytes, end), b'"' | b'\'' | b'<' | b'>' | b')' | b']')
            {
                end += 1;
            }
            break;
        }
        if !inside {
            break;
        }
        end += 1;
    }
    without_closing(bytes, start, end)
}

fn windows_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        let byte = at(bytes, end);
        // `C:\Program Files\x`: a space is inside where a backslash follows before the next one.
        let inside_space = byte == b' ' && starts_with(bytes, end.saturating_sub(7), b"program files")
            || byte == b' ' && at(bytes, end + 1) == b'(' && starts_with(bytes, end + 1, b"(x86)\\");
        if (is_space(byte) && !inside_space)
            || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'|' | b'*' | b'?' | b',' | b';' | b':')
        {
            break;
        }
        end += 1;
    }
    without_closing(bytes, start, end)
}

/// Without the punctuation of the sentence around: dots, and brackets that were opened before.
fn without_closing(bytes: &[u8], start: usize, mut end: usize) -> usize {
    while end > start {
        let opening = match at(bytes, end - 1) {
            b'.' | b',' | b';' | b':' | b'!' | b'?' | b'*' => 0,
            b')' => b'(',
            b']' => b'[',
            b'}' => b'{',
            _ => break,
        };
        if opening != 0 && slice(bytes, start, end).contains(&opening) {
            break;
        }
        end -= 1;
    }
    end
}
