//! The closed set of classes: each is one token of the tokenizer, so none may be written differently.

use super::bytes::slice;
use super::words::Words;

/// What a variable part of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Time,
    Uuid,
    Ip,
    Hex,
    Path,
    Url,
    Host,
    Email,
    Id,
    Num,
    Neg,
    Float,
    Size,
    Ms,
    Sec,
    Min,
    Status2,
    Status3,
    Status4,
    Status5,
    LowPercent,
    HighPercent,
    FullPercent,
    RatioNone,
    RatioPart,
    RatioFull,
    /// Nothing counted: stays readable.
    Zero,
    ZeroPercent,
    /// `0x0`, often "no error".
    ZeroHex,
    /// A secret that the redaction took out before.
    Secret,
    /// A payload of an attack stood here.
    Attack,
    /// Stays as it was written.
    Verbatim,
}

impl Class {
    /// What is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "<time>",
            Self::Uuid => "<uuid>",
            Self::Ip => "<ip>",
            Self::Hex => "<hex>",
            Self::Path => "<path>",
            Self::Url => "<url>",
            Self::Host => "<host>",
            Self::Email => "<email>",
            Self::Id => "<id>",
            Self::Num => "<num>",
            Self::Neg => "<neg>",
            Self::Float => "<float>",
            Self::Size => "<size>",
            Self::Ms => "<ms>",
            Self::Sec => "<sec>",
            Self::Min => "<min>",
            Self::Status2 => "<2xx>",
            Self::Status3 => "<3xx>",
            Self::Status4 => "<4xx>",
            Self::Status5 => "<5xx>",
            Self::LowPercent => "<low%>",
            Self::HighPercent => "<high%>",
            Self::FullPercent => "<full%>",
            Self::RatioNone => "<0/n>",
            Self::RatioPart => "<k/n>",
            Self::RatioFull => "<n/n>",
            Self::Zero => "0",
            Self::ZeroPercent => "0%",
            Self::ZeroHex => "0x0",
            Self::Secret => "<secret>",
            Self::Attack => "<attack>",
            Self::Verbatim => "",
        }
    }

    /// Whether two classes are items of one list: numbers of any kind are, so that `0, 3, 0.5, -1` collapses.
    pub(super) fn lists_with(self, other: Self) -> bool {
        let is_number = |class| matches!(class, Self::Num | Self::Neg | Self::Float | Self::Zero);
        (self == other && self != Self::Verbatim) || (is_number(self) && is_number(other))
    }
}

/// The class written at a place between `<` and `>`, and its end. Texts that were masked before, by us, by the seed or
/// by the data we learn from, pass through here: `<*>` stands for anything, so it becomes an identifier.
pub(super) fn placeholder(bytes: &[u8], start: usize) -> Option<(Class, usize)> {
    let rest = slice(bytes, start + 1, (start + 9).min(bytes.len()));
    let length = rest.iter().position(|byte| *byte == b'>')?;
    let class = PLACEHOLDERS.get(slice(rest, 0, length))?;
    Some((class, start + length + 2))
}

static PLACEHOLDERS: Words<Class, 31> = Words::new([
    ("time", Class::Time),
    ("uuid", Class::Uuid),
    ("ip", Class::Ip),
    ("hex", Class::Hex),
    ("path", Class::Path),
    ("url", Class::Url),
    ("host", Class::Host),
    ("email", Class::Email),
    ("id", Class::Id),
    ("*", Class::Id),
    ("#", Class::Id),
    ("num", Class::Num),
    ("pid", Class::Num),
    ("neg", Class::Neg),
    ("float", Class::Float),
    ("size", Class::Size),
    ("ms", Class::Ms),
    ("sec", Class::Sec),
    ("min", Class::Min),
    ("2xx", Class::Status2),
    ("3xx", Class::Status3),
    ("4xx", Class::Status4),
    ("5xx", Class::Status5),
    ("low%", Class::LowPercent),
    ("high%", Class::HighPercent),
    ("full%", Class::FullPercent),
    ("0/n", Class::RatioNone),
    ("k/n", Class::RatioPart),
    ("n/n", Class::RatioFull),
    ("secret", Class::Secret),
    ("attack", Class::Attack),
]);
