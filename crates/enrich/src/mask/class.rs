//! The closed set of classes: each is one token of the tokenizer, so none may be written differently.

use super::bytes::slice;
use super::words::Words;

/// Declares the classes: each is a word of the masked text. Those before the `;` are tokens of the model too, with the
/// words that say what a new token means; those after it stay readable.
macro_rules! classes {
    ($($name:ident $written:literal $meaning:literal,)+ ; $($(#[$why:meta])* $plain:ident $text:literal,)+) => {
        /// What a variable part of a line is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Class {
            $($name,)+
            $($(#[$why])* $plain,)+
        }

        impl Class {
            /// What is written.
            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $written,)+
                    $(Self::$plain => $text,)+
                }
            }
        }

        /// The masks that stand for values in canonical text, each one token of a model; and the words whose mean a new
        /// token starts from, so that it means something to a checkpoint that never saw it.
        pub const MASKS: [(&str, &str); 28] = [$(($written, $meaning)),+];
    };
}

classes! {
    Time "<time>" "time",
    Uuid "<uuid>" "identifier",
    Ip "<ip>" "address",
    Hex "<hex>" "number",
    Path "<path>" "path",
    Url "<url>" "url",
    Host "<host>" "host",
    Email "<email>" "email",
    Id "<id>" "id",
    Num "<num>" "number",
    Neg "<neg>" "negative number",
    Float "<float>" "number",
    Size "<size>" "size",
    Ms "<ms>" "milliseconds",
    Sec "<sec>" "seconds",
    Min "<min>" "minutes",
    Status2 "<2xx>" "success status",
    Status3 "<3xx>" "redirect status",
    Status4 "<4xx>" "request error status",
    Status5 "<5xx>" "server error status",
    LowPercent "<low%>" "low percent",
    HighPercent "<high%>" "high percent",
    FullPercent "<full%>" "full percent",
    RatioNone "<0/n>" "none",
    RatioPart "<k/n>" "some",
    RatioFull "<n/n>" "all",
    Attack "<attack>" "attack",
    Secret "<secret>" "secret",
    ;
    /// Nothing counted: stays readable.
    Zero "0",
    ZeroPercent "0%",
    /// `0x0`, often "no error".
    ZeroHex "0x0",
    /// Stays as it was written.
    Verbatim "",
}

impl Class {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mask_is_read_back_as_itself() {
        for (mask, meaning) in MASKS {
            let (class, end) = placeholder(mask.as_bytes(), 0).unwrap();
            assert_eq!((class.as_str(), end), (mask, mask.len()));
            assert!(!meaning.is_empty());
        }
    }
}
