//! The headers of applications: time, level, logger, thread and process in any order and any brackets.
//!
//! log4j, logback, Spring, Python's logging, loguru, Hadoop, Spark, ZooKeeper, Elasticsearch, Kafka, Cassandra, Postgres,
//! MySQL, RabbitMQ, nginx and Apache errors, Rust's env_logger and tracing, Go's log, Serilog, Minecraft: all lines begin
//! with the same few elements. One scanner reads these one after another instead of one grammar per program:
//!
//! ```text
//! 2024-01-15 10:30:45,123 [main] ERROR com.example.Bar - message
//! time, sure              unsure level  logger, sure   └ rest
//! ```
//! An element is *sure* when nothing but a header looks so (a time, a level, a qualified name before a colon), and *unsure*
//! when a message could begin so (a number, a word in brackets). Unsure ones are taken off only if a sure one follows;
//! otherwise the message begins before them. So no word of a message is lost where the guess is wrong, and a level is
//! only read at a place of the header: never from within the message.

use std::borrow::Cow;

use logrisk_base::Level;

use super::{
    Format, Parsed, console, level, names,
    text::{digits, first_line, head, is_number, skip_blanks, tail, token},
    timestamp,
};

mod brackets;

/// Elements of the longest real header (Spring Boot 3 with application, trace and thread: 9).
const MOST_ELEMENTS: usize = 12;

/// Takes a record apart that begins with an application's header; `None` if there is neither time nor level.
pub(super) fn parse(text: &str) -> Option<Parsed<'_>> {
    read(text, Header { line: first_line(text), ..Header::default() })
}

/// [`parse`] for a record that begins with a time of that length.
pub(super) fn parse_after_time(text: &str, length: usize) -> Option<Parsed<'_>> {
    let mut header = Header { line: first_line(text), ..Header::default() };
    header.take_time(length);
    read(text, header)
}

fn read<'a>(text: &'a str, mut header: Header<'a>) -> Option<Parsed<'a>> {
    header.scan();
    if header.timestamp.is_none() && header.level.is_none() {
        return None;
    }
    if header.level.is_some() && header.line.as_bytes().get(header.sure) == Some(&b'\t') {
        return Some(console::parse(text, &header));
    }
    Some(header.finish(text))
}

/// A header as far as it is read.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    /// The first line of the record.
    line: &'a str,
    /// Where the next element begins.
    at: usize,
    /// Where the last sure element ended.
    pub(super) sure: usize,
    pub(super) timestamp: Option<&'a str>,
    pub(super) level: Option<Level>,
    pub(super) logger: Option<&'a str>,
    /// The logger is one plain word: a qualified name further on is a better one.
    logger_is_plain: bool,
    /// Elasticsearch's node follows: "[INFO ][o.e.n.Node] [node-1] started".
    node_follows: bool,
    /// The last element was a number, such as a process.
    after_number: bool,
}

impl<'a> Header<'a> {
    fn scan(&mut self) {
        // Ruby's logger repeats the level as a letter: "E, [2024-01-15T10:30:45 #123] ERROR -- : message".
        if let [b'A'..=b'Z', b',', b' ', b'[', ..] = self.line.as_bytes() {
            self.at = 3;
        }
        for _ in 0..MOST_ELEMENTS {
            self.separators();
            if !self.element() {
                break;
            }
        }
    }

    fn rest(&self) -> &'a str {
        tail(self.line, self.at)
    }

    fn peek(&self) -> u8 {
        self.line.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn is_begun(&self) -> bool {
        self.timestamp.is_some() || self.level.is_some()
    }

    /// Takes an element that could also begin a message.
    fn unsure(&mut self, length: usize) -> bool {
        self.at += length;
        true
    }

    /// Takes an element that only a header has.
    fn sure(&mut self, length: usize) -> bool {
        self.at += length;
        self.sure = self.at;
        true
    }

    /// Takes the time of that length that stands here, with a colon or comma behind it.
    fn take_time(&mut self, length: usize) -> bool {
        let rest = self.rest();
        self.timestamp = Some(head(rest, length));
        self.sure(length + usize::from(matches!(rest.as_bytes().get(length), Some(b':' | b','))))
    }

    /// Moves over blanks and, once the header is begun, over what stands alone between elements: `-`, `--`, `---`, `|`, `:`.
    fn separators(&mut self) {
        loop {
            self.at += self.rest().len() - skip_blanks(self.rest()).len();
            let rest = self.rest().as_bytes();
            let mark =
                rest.iter().take_while(|byte| matches!(byte, b'-' | b'|' | b':' | b',' | b';')).count();
            let alone = matches!(rest.get(mark), Some(b' ' | b'\t') | None) || rest.first() == Some(&b'|');
            if mark == 0 || mark > 3 || !alone || self.at == 0 {
                return;
            }
            self.at += mark;
        }
    }

    /// Reads one element; `false` at the message.
    fn element(&mut self) -> bool {
        let after_number = std::mem::take(&mut self.after_number);
        match self.peek() {
            0 => false,
            b'0'..=b'9' => self.number(),
            b'[' => self.bracket(),
            b'<' => self.angle(),
            b'{' => self.brace(),
            b'(' => self.parenthesis(),
            b'*' if after_number && self.level.is_some() => {
                // nginx counts connections: "12#12: *3 open() failed"
                let number = digits(tail(self.rest(), 1));
                number > 0 && self.sure(1 + number)
            }
            _ => self.word(after_number),
        }
    }

    fn number(&mut self) -> bool {
        let rest = self.rest();
        if self.timestamp.is_none()
            && let Some(length) = timestamp::length(rest)
        {
            return self.take_time(length);
        }
        // Nest: "[Nest] 12  - 01/15/2024, 10:30:45 AM".
        if !self.is_begun() && self.at == 0 {
            return false;
        }
        let (word, after) = token(rest);
        self.after_number = true;
        if self.level.is_some() {
            // nginx: "12#12:"; Spring: "1 ---". Any other number after the level is the message's.
            let process = word.strip_suffix(':').and_then(|word| word.split_once('#'));
            return match process {
                Some((process, thread)) if is_number(process) && is_number(thread) => self.sure(word.len()),
                _ if is_number(word) && after.starts_with("---") => self.sure(word.len()),
                _ => false,
            };
        }
        let is_process =
            word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.' | b',' | b'-' | b'|'));
        let length = word.find('|').unwrap_or(word.len());
        let is_process = is_process || names::is_id(word);
        is_process && self.unsure(length)
    }

    fn word(&mut self, after_number: bool) -> bool {
        let rest = self.rest();
        if self.timestamp.is_none()
            && rest.starts_with(|first: char| first.is_ascii_uppercase())
            && let Some(length) = timestamp::length(rest)
        {
            return self.take_time(length);
        }
        if self.level.is_none() && self.level_word(after_number) {
            return true;
        }
        let (word, after) = token(rest);
        if self.at == 0 || !self.is_begun() {
            // A file's name before each line, as grep and LogHub's OpenStack have it.
            return self.at == 0
                && word.len() < 96
                && (memchr::memmem::find(word.as_bytes(), b".log").is_some() || after.starts_with("| "))
                && self.unsure(word.len());
        }
        if names::is_place(word) {
            return self.place(word, after);
        }
        // Rust's tracing names the thread, AWS Lambda the request.
        if word.starts_with("ThreadId(") {
            return self.sure(word.len());
        }
        if self.level.is_none() && names::is_id(word) {
            return self.unsure(word.len());
        }
        if (self.logger.is_none() || self.logger_is_plain)
            && let Some((name, length)) = self.logger_word(word, after)
        {
            self.logger = Some(name);
            self.logger_is_plain = false;
            return self.sure(length);
        }
        // Postgres prints who asked between time and level: "bob@shop LOG:", "user=bob,db=shop".
        self.level.is_none()
            && self.timestamp.is_some()
            && word.contains(['@', '='])
            && {
                let (next, _) = token(after);
                next.ends_with(':') && next.len() > 3 && !next.bytes().any(|byte| byte.is_ascii_lowercase())
            }
            && self.unsure(word.len())
    }

    /// A level as a bare word, with what Python and logrus attach to it.
    fn level_word(&mut self, after_number: bool) -> bool {
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix("PHP ") {
            return self.php(after);
        }
        let length = word_length(rest);
        let word = head(rest, length);
        let next = rest.as_bytes().get(length).copied().unwrap_or(0);
        // Full-width colons follow Chinese and Japanese levels.
        let wide_colon = tail(rest, length).starts_with('：');
        if let ([letter], b' ', true) = (word.as_bytes(), next, self.timestamp.is_some())
            && let Some(level) = level::from_letter(*letter)
        {
            // MongoDB before 4.4: "I NETWORK  [listener]"; Android Studio: "1234  5678 E Tag: ".
            let (following, _) = token(tail(rest, 2));
            let capitals = following.len() > 2 && following.bytes().all(|byte| byte.is_ascii_uppercase());
            if after_number || capitals || following.ends_with(':') {
                self.level = Some(level);
                return self.sure(1);
            }
        }
        // Telegraf: "E! [outputs.x] message".
        if let ([letter], b'!', true) = (word.as_bytes(), next, self.timestamp.is_some()) {
            self.level = level::from_letter(*letter);
            return self.level.is_some() && self.sure(2);
        }
        // Windows' columns: "Error                 CSI".
        let column = self.timestamp.is_some() && tail(rest, length).starts_with("  ");
        let delimiter = if wide_colon || column { b':' } else { next };
        let Some(level) = level::from_bare(word, delimiter) else { return false };
        self.level = Some(level);
        let after = tail(rest, length);
        match next {
            b':' => {
                // Python's basicConfig: "ERROR:root:message".
                let name_and_more = tail(after, 1);
                let name_length = name_and_more.find(':').unwrap_or(0);
                let name = head(name_and_more, name_length);
                if names::is_identifier(name) && !name.contains(':') {
                    self.logger = Some(name);
                    return self.sure(length + 2 + name_length);
                }
                self.sure(length + 1)
            }
            b'[' => {
                // logrus on a terminal: "INFO[0042]", log15: "INFO[01-15|10:30:45]".
                let close = after.find(']').map_or(0, |at| at + 1);
                let inside = head(after, close).trim_matches(['[', ']']);
                let is_clock =
                    inside.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b':' | b'|' | b'.' | b'T'));
                self.sure(length + if is_clock { close } else { 0 })
            }
            b',' | b'|' => self.sure(length + 1),
            _ if wide_colon => self.sure(length + '：'.len_utf8()),
            _ => self.sure(length),
        }
    }

    /// `PHP Fatal error:  message`
    fn php(&mut self, after: &'a str) -> bool {
        let Some(colon) = after.find(':').filter(|colon| *colon < 24) else { return false };
        self.level = match head(after, colon) {
            "Fatal error" | "Parse error" | "Core error" | "Compile error" => Some(Level::Fatal),
            "Recoverable fatal error" | "Catchable fatal error" => Some(Level::Error),
            "Warning" | "Core warning" | "Deprecated" | "User Warning" => Some(Level::Warn),
            "Notice" => Some(Level::Notice),
            _ => return false,
        };
        self.logger = Some("PHP");
        self.sure(4 + colon + 1)
    }

    /// A place in the source. Java's file names are its class names, and so the logger.
    fn place(&mut self, word: &'a str, after: &str) -> bool {
        if let Some((class, _)) = word.split_once(".java:")
            && self.logger.is_none()
            && after.starts_with("- ")
        {
            self.logger = Some(class);
        }
        self.sure(word.len())
    }

    /// A logger as a bare word, by what follows it; with it, how many bytes to take.
    fn logger_word(&self, word: &'a str, after: &'a str) -> Option<(&'a str, usize)> {
        if let Some(name) = word.strip_suffix(':') {
            // Monolog's "production.ERROR:" is read with the level.
            let has_level =
                name.rsplit('.').next().is_some_and(|last| level::from_bare(last, b':').is_some());
            let is_logger = names::is_qualified(name) && (self.level.is_some() || !has_level);
            return is_logger.then(|| (names::short(name), word.len()));
        }
        let gap = after.as_ptr().addr().wrapping_sub(word.as_ptr().addr()).wrapping_sub(word.len());
        if after.starts_with("- ")
            || after.starts_with(": ")
            || after.starts_with("-- ")
            || after.starts_with("| ")
        {
            let (next, _) = token(tail(after, 2).trim_start_matches([' ', '-']));
            let is_logger = names::is_identifier(word)
                && (self.level.is_some() || level::from_bare(next.trim_end_matches(':'), b':').is_some());
            return is_logger.then(|| (names::short(word), word.len()));
        }
        // Windows' columns are two blanks apart, Java's brackets follow at once.
        let capitals = word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        let packages = word.bytes().filter(|byte| *byte == b'.').count();
        let is_logger = match self.level {
            Some(_) if gap >= 2 && capitals => true,
            Some(_) if after.starts_with('[') => word.contains('.') && names::is_qualified(word),
            Some(_) => packages >= 2 && names::is_java_package(word),
            // "10:30:45 com.example.Bar ERROR message"
            None => {
                let (next, _) = token(after);
                names::is_qualified(word) && level::from_bare(next.trim_end_matches(':'), b' ').is_some()
            }
        };
        is_logger.then(|| (names::short(word), word.len()))
    }

    fn finish(self, text: &'a str) -> Parsed<'a> {
        let mut message = skip_blanks(tail(text, self.sure));
        for mark in ["- ", ": ", "-- ", "--- ", "| ", "|"] {
            if let Some(rest) = message.strip_prefix(mark) {
                message = skip_blanks(rest);
                break;
            }
        }
        let mut parsed = Parsed {
            timestamp: self.timestamp.map(Cow::Borrowed),
            level: self.level,
            logger: self.logger.map(Cow::Borrowed),
            ..Parsed::plain(Format::Application, message)
        };
        if self.level.is_none() {
            level_behind(&mut parsed, message);
        } else if self.logger.is_none()
            && let Some((message, logger)) = logger_at_end(message)
        {
            parsed.logger = Some(Cow::Borrowed(logger));
            parsed.message = Cow::Borrowed(message);
        }
        parsed
    }
}

/// Levels that stand in unusual places: Monolog's `production.ERROR: message`, and the second line of
/// java.util.logging (`class method`, newline, `SEVERE: message`).
fn level_behind<'a>(parsed: &mut Parsed<'a>, message: &'a str) {
    let (word, rest) = token(message);
    if let Some((channel, name)) = word.strip_suffix(':').and_then(|word| word.rsplit_once('.'))
        && names::is_identifier(channel)
        && let Some(level) = level::from_bare(name, b':')
    {
        parsed.level = Some(level);
        parsed.logger = Some(Cow::Borrowed(channel));
        parsed.message = Cow::Borrowed(rest);
        return;
    }
    if let Some((place, below)) = message.split_once('\n')
        && let Some((class, method)) = place.trim().split_once(' ')
        && names::is_qualified(class)
        && !method.contains(' ')
        && let Some((name, rest)) = below.split_once(':')
        && let Some(level) = level::from_bare(name, b':')
    {
        parsed.level = Some(level);
        parsed.logger = Some(Cow::Borrowed(class));
        parsed.message = Cow::Borrowed(skip_blanks(rest));
    }
}

/// Kafka's logger: "message (kafka.server.KafkaServer)".
fn logger_at_end(message: &str) -> Option<(&str, &str)> {
    let (message, name) = message.trim_end().strip_suffix(')')?.rsplit_once(" (")?;
    (name.contains('.') && names::is_qualified(name) && !message.contains('\n')).then_some((message, name))
}

/// The length of a word of letters, with the digit of Postgres' DEBUG1.
fn word_length(text: &str) -> usize {
    let ascii = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    if text.as_bytes().get(ascii).is_none_or(u8::is_ascii) {
        return ascii;
    }
    text.find(|character: char| !character.is_alphanumeric()).unwrap_or(text.len())
}
