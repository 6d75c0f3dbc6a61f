//! Which physical lines belong to one record: stack traces, indented bodies, and lines that the container runtime tore.
//!
//! ```text
//! ERROR request failed                                        Begin
//! java.lang.IllegalStateException: no stock                   Continue
//!         at shop.Cart.add(Cart.java:41)                      Continue
//! Caused by: java.net.ConnectException: Connection refused    Continue
//! INFO next request                                           Begin
//! ```
//!
//! The decision is made on the line itself and a few bytes of memory about the lines before it, never on what follows:
//! a joiner holds no text and delays nothing. An ordinary line is decided by its first and last byte.
//!
//! One joiner per stream: interleaved streams (stdout and stderr, two containers) would tear each other's traces apart.
//! Time is the caller's to bound: it calls [`Joiner::reset`] when a stream has been silent for too long.

mod shape;

/// What a line is to the record before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The line begins a record.
    Begin,
    /// The line continues the record before it, after a newline.
    Continue,
    /// The line continues a torn line, with nothing between.
    Append,
}

/// The largest record that lines are joined into; a longer one is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lines of a record, at least 1.
    pub lines: usize,
    /// Bytes of a record. A single longer line is not split.
    pub bytes: usize,
}

impl Default for Limits {
    /// 512 lines, 64 KiB: the deepest traces of JVM frameworks (about 400 lines, 40 KiB) fit, and a stream that never
    /// begins a record cannot fill the memory.
    fn default() -> Self {
        Self { lines: 512, bytes: 64 * 1024 }
    }
}

/// How much of a record's first line is remembered, for "did it report an error?": where a level word stands.
const HEAD_BYTES: usize = 96;

/// A state machine over the lines of one stream.
#[derive(Debug, Clone, Default)]
pub struct Joiner {
    limits: Limits,
    state: State,
    /// Lines and bytes of the open record; no lines: none is open.
    lines: usize,
    bytes: usize,
    /// The last line was torn: the next is its rest.
    torn: bool,
    /// How far the record's first line is indented.
    indent: usize,
    /// The first bytes of the record's first line.
    head: Vec<u8>,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Plain,
    /// A line ended with an opening bracket, or is an XML element's start: its closing line belongs to it.
    Body,
    /// After `Traceback (most recent call last):`.
    PythonFrames,
    /// After the exception that ends a Python traceback.
    PythonEnd,
    /// After "During handling of the above exception, …": another traceback follows.
    PythonChain,
    /// After `panic: …` or `goroutine 1 [running]:`.
    Go,
    /// After `thread 'x' panicked at file:1:2:`: the message is on the next line.
    RustMessage,
    /// After the message: `note: …`, `stack backtrace:`, frames.
    Rust,
    /// After `/app/x.js:3`: the line of code follows.
    NodeSource,
    /// After the caret below the line of code: the error follows.
    NodeError,
    /// After that: `Node.js v22` may follow.
    NodeEnd,
    /// Inside a PEM block. Joined so that redaction sees a private key whole.
    Pem,
}

impl Joiner {
    /// A joiner with other limits than the default's.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Decides what the next line is. `content` and `partial` are those of [`crate::parse::Unwrapped`].
    pub fn push(&mut self, content: &str, partial: bool) -> Step {
        let mut step = if self.torn {
            Step::Append
        } else if self.continues(content) {
            Step::Continue
        } else {
            Step::Begin
        };
        self.torn = partial;
        let full = self.lines >= self.limits.lines || self.bytes + 1 + content.len() > self.limits.bytes;
        if step != Step::Begin && full {
            // A new record, but the state stays: the trace goes on in it.
            step = Step::Begin;
        }
        match step {
            Step::Begin => (self.lines, self.bytes) = (1, content.len()),
            Step::Continue => (self.lines, self.bytes) = (self.lines + 1, self.bytes + 1 + content.len()),
            Step::Append => self.bytes += content.len(),
        }
        step
    }

    /// Closes the open record: the next line begins one. For a stream that was silent, ended or was rotated.
    pub fn reset(&mut self) {
        let (limits, head) = (self.limits, std::mem::take(&mut self.head));
        *self = Self { limits, head, ..Self::default() };
    }

    fn continues(&mut self, line: &str) -> bool {
        match line.as_bytes().first() {
            None | Some(b'\r') => self.blank(),
            Some(b' ' | b'\t') => self.indented(line),
            Some(&first) => self.flush_left(first, line),
        }
    }

    /// An empty line belongs to traces that have them inside; elsewhere it is a record of its own.
    fn blank(&mut self) -> bool {
        let inside = !matches!(self.state, State::Plain | State::Body) && self.lines > 0;
        if !inside {
            self.begin("", 0);
        }
        inside
    }

    fn indented(&mut self, line: &str) -> bool {
        let text = line.trim_start();
        if text.is_empty() {
            return self.blank();
        }
        let indent = line.len() - text.len();
        let inside_trace = !matches!(self.state, State::Plain | State::Body);
        let deeper = self.lines > 0 && indent > self.indent;
        if !deeper || (!inside_trace && shape::has_own_header(text)) {
            self.begin(text, indent);
            return false;
        }
        if text.starts_with('^') && shape::is_caret(text) && self.state != State::PythonFrames {
            self.state = State::NodeError;
        } else if text.ends_with("Traceback (most recent call last):") {
            self.state = State::PythonFrames;
        } else if self.state == State::Plain && text.ends_with(['{', '[']) {
            self.state = State::Body;
        }
        true
    }

    fn flush_left(&mut self, first: u8, line: &str) -> bool {
        if self.lines > 0
            && (self.state != State::Plain && self.follows(first, line) || self.belongs(first, line))
        {
            return true;
        }
        self.begin(line, 0);
        false
    }

    /// Whether the line is what the state waits for.
    fn follows(&mut self, first: u8, line: &str) -> bool {
        let (follows, next) = match self.state {
            State::Plain => (false, State::Plain),
            State::Body => (matches!(first, b'}' | b']' | b')') || line.starts_with("</"), State::Plain),
            State::PythonFrames => (!shape::has_own_header(line), State::PythonEnd),
            State::PythonEnd => (shape::is_python_chain(line), State::PythonChain),
            State::PythonChain => (shape::is_traceback(line), State::PythonFrames),
            State::Go => (shape::is_go(line), State::Go),
            State::RustMessage => (!shape::has_own_header(line), State::Rust),
            State::Rust => (line.starts_with("note: ") || line.starts_with("stack backtrace:"), State::Rust),
            State::NodeSource if shape::is_caret(line) => (true, State::NodeError),
            State::NodeSource => (!shape::has_own_header(line), State::NodeSource),
            State::NodeError => (!shape::has_own_header(line), State::NodeEnd),
            State::NodeEnd => (first == b'}' || line.starts_with("Node.js v"), State::NodeEnd),
            State::Pem if line.starts_with("-----END ") => (true, State::Plain),
            State::Pem => (!line.contains(' '), State::Pem),
        };
        if follows {
            self.state = next;
        }
        follows
    }

    /// Whether the line can only be part of a record, whatever came before it.
    fn belongs(&mut self, first: u8, line: &str) -> bool {
        match first {
            b'C' => line.starts_with("Caused by: "),
            b'S' => line.starts_with("Suppressed: "),
            b'-' => line.starts_with("--- End of "),
            b'.' => line.starts_with("... ") && line.ends_with(" more"),
            b's' if line.starts_with("stack backtrace:") => true,
            b'g' if shape::is_goroutine(line) => {
                self.state = State::Go;
                true
            }
            // What a logger prints below its own line, and a crashing program on its own.
            b'T' if shape::is_traceback(line) => {
                let belongs = self.head_reports_error();
                if belongs {
                    self.state = State::PythonFrames;
                }
                belongs
            }
            b'a'..=b'z' | b'A'..=b'Z' => shape::is_exception(line) && self.head_reports_error(),
            _ => false,
        }
    }

    /// Whether the open record is one line that reports an error.
    fn head_reports_error(&self) -> bool {
        self.lines == 1 && shape::reports_error(&self.head)
    }

    fn begin(&mut self, line: &str, indent: usize) {
        self.indent = indent;
        self.state = shape::opening(line);
        self.head.clear();
        self.head.extend(line.as_bytes().iter().take(HEAD_BYTES));
    }
}

#[cfg(test)]
mod tests;
