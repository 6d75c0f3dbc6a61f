//! The elements of a header that stand in brackets.

use super::Header;
use crate::parse::{
    level,
    names::{self, Name},
    text::{head, tail, token},
    timestamp,
};

/// A bracket that closes later than this belongs to a message.
const LONGEST_GROUP: usize = 200;

impl<'a> Header<'a> {
    /// Airflow's caller, ClickHouse's query: before the level only.
    pub(super) fn brace(&mut self) -> bool {
        let Some((_, length)) = self.group() else { return false };
        self.timestamp.is_some() && self.level.is_none() && self.unsure(length)
    }

    /// JBoss and Quarkus print the thread after the logger, Home Assistant before it.
    pub(super) fn parenthesis(&mut self) -> bool {
        let Some((_, length)) = self.group() else { return false };
        if self.is_thread_behind_logger(length) {
            return self.sure(length);
        }
        self.level.is_some() && self.unsure(length)
    }

    fn is_thread_behind_logger(&self, length: usize) -> bool {
        let behind_bracket =
            self.at.checked_sub(2).and_then(|at| self.line.as_bytes().get(at)) == Some(&b']');
        let alone = self.line.as_bytes().get(self.at + length) == Some(&b' ');
        self.logger.is_some() && behind_bracket && alone
    }

    /// The content of the bracket here, and the length with both brackets.
    fn group(&self) -> Option<(&'a str, usize)> {
        let rest = self.rest();
        let open = *rest.as_bytes().first()?;
        let close = match open {
            b'[' => b']',
            b'(' => b')',
            b'{' => b'}',
            _ => b'>',
        };
        let mut depth = 0_usize;
        for (at, byte) in rest.bytes().take(LONGEST_GROUP).enumerate() {
            if byte == open {
                depth += 1;
            } else if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Some((rest.get(1..at)?.trim(), at + 1));
                }
            }
        }
        None
    }

    pub(super) fn angle(&mut self) -> bool {
        let Some((content, length)) = self.group() else { return false };
        if self.level.is_none()
            && let Some(level) = level::from_bare(content, b'>')
        {
            self.level = Some(level);
            return self.sure(length);
        }
        // Erlang's processes: "<0.123.0>".
        let is_process =
            content.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && content.len() > 2;
        is_process && self.is_begun() && self.sure(length)
    }

    pub(super) fn bracket(&mut self) -> bool {
        let Some((content, length)) = self.group() else { return false };
        let adjacent = self.at > 0 && self.line.as_bytes().get(self.at - 1) == Some(&b']');
        if self.timestamp.is_none() && self.bracketed_time(content) {
            return self.sure(length);
        }
        if self.level.is_none() && self.bracketed_level(content) {
            return self.sure(length);
        }
        if !self.is_begun() || content.is_empty() {
            return self.unsure(length);
        }
        match names::classify(content) {
            Name::Bookkeeping => self.sure(length),
            Name::Qualified(name) if self.logger.is_none() || self.logger_is_plain => {
                self.logger = Some(name);
                self.logger_is_plain = false;
                self.node_follows = adjacent && name.contains('.');
                self.sure(length)
            }
            _ if std::mem::take(&mut self.node_follows) => self.sure(length),
            Name::Plain(name) if self.logger.is_none() && self.level.is_some() => {
                self.logger = Some(name);
                self.logger_is_plain = true;
                self.sure(length)
            }
            _ if self.logger.is_some() && !self.logger_is_plain => false,
            _ => self.unsure(length),
        }
    }

    /// A time in brackets, alone or with more: `: INFO/MainProcess`, ` ERROR my::module`, ` INF`, ` #123`.
    fn bracketed_time(&mut self, content: &'a str) -> bool {
        // Jupyter and Tornado put the level's letter before it: "[E 10:30:45.123 NotebookApp]".
        let letter = match content.as_bytes() {
            [letter, b' ', ..] => level::from_letter(*letter),
            _ => None,
        };
        let content = if letter.is_some() { tail(content, 2) } else { content };
        let Some(length) = timestamp::length(content) else { return false };
        self.timestamp = Some(head(content, length));
        self.level = self.level.or(letter);
        let (word, rest) = token(tail(content, length).trim_start_matches([':', ',', ' ']));
        let (word, _process) = word.split_once('/').unwrap_or((word, ""));
        let name = match level::from_bare(word, b']') {
            Some(level) if self.level.is_none() => {
                self.level = Some(level);
                rest
            }
            _ => word,
        };
        if let Name::Qualified(name) | Name::Plain(name) = names::classify(name) {
            self.logger = Some(name);
        }
        true
    }

    /// `[ERROR]`, `[E]`, Minecraft's `[Server thread/INFO]`, Apache's `[proxy:error]`.
    fn bracketed_level(&mut self, content: &'a str) -> bool {
        let declared = match content.as_bytes() {
            [letter @ (b'D' | b'I' | b'W' | b'E' | b'F' | b'V')] => level::from_letter(*letter),
            _ => level::from_bare(content, b']'),
        };
        if declared.is_some() {
            self.level = declared;
            return true;
        }
        if let Some((_, last)) = content.rsplit_once('/')
            && last.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            self.level = level::from_bare(last, b']');
        } else if let Some((module, last)) = content.split_once(':')
            && let Some(level) = level::from_bare(last, b']')
        {
            self.level = Some(level);
            if names::is_identifier(module) {
                self.logger = Some(module);
            }
        }
        self.level.is_some()
    }
}
