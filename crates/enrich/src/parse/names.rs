//! What looks like a logger's name, and what like a thread, a process or a place in the source.

/// A logger's name is shorter than this.
const LONGEST: usize = 100;

/// What the content of a bracket in a header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// A name with packages, modules or humps: nothing but a logger.
    Qualified(&'a str),
    /// One plain word.
    Plain(&'a str),
    /// Threads, processes, requests.
    Bookkeeping,
    /// Could be the message's.
    Unknown,
}

/// Judges the content of a bracket.
pub(super) fn classify(content: &str) -> Name<'_> {
    if content.starts_with("pid ")
        || content.starts_with("req-")
        || content == "-"
        || is_id(content)
        || is_place(content)
    {
        return Name::Bookkeeping;
    }
    // ZooKeeper: "thread:host:Class@123".
    if let Some((name, line)) = content.rsplit_once('@')
        && !line.is_empty()
        && line.bytes().all(|byte| byte.is_ascii_digit())
    {
        let class = name.rsplit(':').next().unwrap_or(name);
        return if is_identifier(class) { Name::Qualified(class) } else { Name::Bookkeeping };
    }
    if is_thread(content) {
        return Name::Bookkeeping;
    }
    if is_qualified(content) && !content.contains(['-', '/']) {
        return Name::Qualified(content);
    }
    let plain = is_identifier(content) && !content.ends_with(|last: char| last.is_ascii_digit());
    if plain && content.len() > 1 { Name::Plain(content) } else { Name::Unknown }
}

/// UUIDs, and hexadecimal numbers of eight digits and more.
pub(super) fn is_id(word: &str) -> bool {
    word.len() >= 8
        && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Names that thread pools give. A bare number at the end is not enough: "db-1" may be what the message is about.
fn is_thread(name: &str) -> bool {
    let pooled = |window: &[u8]| {
        matches!(window, b"hread" | b"-exec" | b"pool-" | b"Pool-" | b"Loop-" | b"roup-" | b"orker")
    };
    match name.as_bytes() {
        b"main" | b"restartedMain" => true,
        bytes @ [.., b'0'..=b'9' | b'd' | b')'] => bytes.windows(5).any(pooled),
        _ => false,
    }
}

/// A word that can be a logger where its place says so.
pub(super) fn is_identifier(word: &str) -> bool {
    word.len() <= LONGEST
        && word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && word.bytes().all(is_part)
        && !word.contains("//")
        && !has_long_number(word)
}

/// A name that is a logger by itself: with a package, a module, a hump or an underscore, and no host, file or exception.
pub(super) fn is_qualified(name: &str) -> bool {
    let bytes = name.as_bytes();
    let humps = bytes.windows(2).any(|pair| matches!(pair, [b'a'..=b'z', b'A'..=b'Z']))
        || bytes.windows(3).any(|three| matches!(three, [b'A'..=b'Z', b'A'..=b'Z', b'a'..=b'z']));
    let joined = bytes.iter().skip(1).any(|byte| matches!(byte, b'.' | b'$' | b'_')) || name.contains("::");
    let is_java = is_java_root(name) && name.matches('.').count() >= 2;
    (humps || joined) && is_identifier(name) && !is_exception(name) && (is_java || !is_host_or_file(name))
}

/// A dotted name that begins as Java's packages do.
pub(super) fn is_java_package(name: &str) -> bool {
    is_java_root(name) && is_qualified(name)
}

fn is_java_root(name: &str) -> bool {
    ["org.", "com.", "net.", "io.", "java.", "javax.", "jakarta.", "sun.", "de.", "fr.", "edu."]
        .iter()
        .any(|root| name.starts_with(root))
}

/// A name without its function: loguru's `__main__:main:12`.
pub(super) fn short(name: &str) -> &str {
    let mut at = 0;
    while let Some(colon) = name.get(at..).and_then(|rest| rest.find(':')) {
        let colon = at + colon;
        if name.get(colon + 1..).is_none_or(|rest| !rest.starts_with(':')) {
            return name.get(..colon).unwrap_or(name);
        }
        at = colon + 2;
    }
    name
}

/// `main.go:12`, `src/app.py:120:`.
pub(super) fn is_place(word: &str) -> bool {
    let word = word.strip_suffix(':').unwrap_or(word);
    let Some((file, line)) = word.rsplit_once(':') else { return false };
    !line.is_empty()
        && line.bytes().all(|byte| byte.is_ascii_digit())
        && [
            ".go", ".py", ".java", ".rs", ".cc", ".cpp", ".c", ".js", ".ts", ".rb", ".kt", ".scala", ".cs",
            ".h",
        ]
        .iter()
        .any(|extension| file.ends_with(extension))
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b':' | b'/' | b'-' | b'#')
}

/// Numbers of four digits and more are ports, processes and ids: with them a name would be another every time.
fn has_long_number(word: &str) -> bool {
    word.as_bytes().windows(4).any(|window| window.iter().all(u8::is_ascii_digit))
}

fn is_exception(name: &str) -> bool {
    ["Exception", "Error", "Throwable", "Failure", "Fault"].iter().any(|ending| name.ends_with(ending))
}

fn is_host_or_file(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    name.contains('.')
        && matches!(
            last,
            "com"
                | "net"
                | "org"
                | "local"
                | "internal"
                | "lan"
                | "svc"
                | "localdomain"
                | "de"
                | "uk"
                | "eu"
                | "cn"
                | "yaml"
                | "yml"
                | "json"
                | "conf"
                | "cfg"
                | "ini"
                | "toml"
                | "log"
                | "txt"
                | "xml"
                | "csv"
                | "html"
                | "php"
                | "go"
                | "py"
                | "js"
                | "ts"
                | "rs"
                | "rb"
                | "java"
                | "sh"
                | "so"
                | "jar"
                | "dll"
                | "sql"
                | "lock"
                | "pid"
                | "sock"
                | "pem"
                | "crt"
                | "key"
                | "db"
                | "tmp"
                | "gz"
                | "zip"
                | "tar"
                | "img"
                | "service"
                | "socket"
                | "timer"
                | "mount"
                | "target"
                | "scope"
                | "slice"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loggers_differ_from_hosts_files_and_exceptions() {
        let yes = [
            "com.example.Bar",
            "o.e.n.Node",
            "dfs.DataNode$PacketResponder",
            "my::module",
            "WindowManager",
            "app_server",
        ];
        let no = [
            "db.example.com",
            "config.yaml",
            "java.lang.OutOfMemoryError",
            "Failed",
            "http://x.y",
            "10.0.0.1",
            "/var/x.y",
            "app_12345",
            "nginx.service",
            "",
        ];
        for name in yes {
            assert!(is_qualified(name), "{name}");
        }
        for name in no {
            assert!(!is_qualified(name), "{name}");
        }
    }

    #[test]
    fn brackets_hold_loggers_threads_and_ids() {
        let cases = [
            ("o.e.n.Node", Name::Qualified("o.e.n.Node")),
            ("/10.0.0.1:3888:QuorumCnxManager$Listener@493", Name::Qualified("QuorumCnxManager$Listener")),
            ("myid:1", Name::Unknown),
            ("frontend", Name::Plain("frontend")),
            ("http-nio-8080-exec-1", Name::Bookkeeping),
            ("main", Name::Bookkeeping),
            ("0673dd71-34c5-4fbb-86c4-40623fbe45b4", Name::Bookkeeping),
            ("client 10.0.0.1", Name::Unknown),
            ("404", Name::Unknown),
        ];
        for (content, expected) in cases {
            assert_eq!(classify(content), expected, "{content}");
        }
        assert_eq!(short("__main__:main:12"), "__main__");
        assert_eq!(short("my::module::inner"), "my::module::inner");
    }
}
