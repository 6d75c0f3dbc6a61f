//! All spellings of a level brought to one.
//!
//! Three kinds of evidence, from firm to loose: a number or a name in a field that is a level by its key
//! ([`from_field`]), a name between delimiters of a header ([`from_name`]), and a bare word at the place of a header
//! ([`from_bare`]), where only what no message begins with is taken. The word "error" inside a text or a URL never
//! gets here.

use std::{collections::HashMap, sync::LazyLock};

use foldhash::fast::FixedState;
use logrisk_base::Level;

/// Longest name known, in bytes: a longer word is no level.
const LONGEST: usize = 28;

/// Names in lower case: English, abbreviations of loggers, and the languages in which operating systems and databases
/// localise theirs. What postgres prints below an error (`HINT`) counts as information.
const NAMES: [(Level, &str); 10] = [
    (Level::Trace, "trace trc trac finest finer silly all spam t"),
    (
        Level::Debug,
        "debug dbg debg dbug debu deb fine verbose vrb verb v d debug1 debug2 debug3 debug4 debug5 d1 d2 d3 d4 d5 \
         отладка 调试 除錯 デバッグ 디버그",
    ),
    (
        Level::Info,
        "info inf information informational informative i log config http success ok normal default hint statement \
         detail context query informazioni informationen informacion información informação informace сообщение \
         информация инфо 信息 資訊 情報 정보 日志 ログ",
    ),
    (Level::Notice, "notice note ntc noti n hinweis замечание уведомление 注意 通知 알림"),
    (
        Level::Warn,
        "warning warn wrn warni w warnung avertissement attention advertencia aviso avviso attenzione waarschuwing \
         varning advarsel uyari uyarı alerta peringatan ostrzeżenie varování предупреждение попередження 警告 경고",
    ),
    (
        Level::Error,
        "error err erro eror errors e severe fail failed fehler erreur errore fout fel fejl feil virhe hata chyba \
         hiba kesalahan błąd ошибка помилка 错误 錯誤 エラー 誤り 오류 에러",
    ),
    (
        Level::Critical,
        "critical crit crt cri c kritisch critique critico crítico krytyczny fault критический критическая 严重 嚴重 \
         重大 심각",
    ),
    (Level::Alert, "alert alrt"),
    (Level::Fatal, "fatal ftl fata ftal f dpanic failure fatale важно 致命的 致命错误 致命错 치명적"),
    (Level::Emergency, "emergency emerg emrg panic panc pnc паника 恐慌 紧急"),
];

/// [`NAMES`] by name. The hash need not withstand attackers: no word of theirs gets into the table.
static LEVELS: LazyLock<HashMap<&[u8], Level, FixedState>> = LazyLock::new(|| {
    let level_of_names =
        |(level, names): (Level, &'static str)| names.split(' ').map(move |name| (name.as_bytes(), level));
    NAMES.into_iter().flat_map(level_of_names).collect()
});

/// The level of a name, in any letter case.
pub(super) fn from_name(name: &str) -> Option<Level> {
    // Nine lines of ten declare one of these.
    match name {
        "INFO" => return Some(Level::Info),
        "WARN" => return Some(Level::Warn),
        "ERROR" => return Some(Level::Error),
        "DEBUG" => return Some(Level::Debug),
        _ => {}
    }
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    if !name.is_ascii() {
        return LEVELS.get(name.to_lowercase().as_bytes()).copied();
    }
    let mut buffer = [0; LONGEST];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    LEVELS.get(&*lower).copied()
}

/// What postgres prints below an error: it stays in the message, which it explains.
const LABELS: [&str; 5] = ["HINT", "DETAIL", "STATEMENT", "CONTEXT", "QUERY"];
/// Levels of some loggers in capitals, and too often something else.
const AMBIGUOUS: [&str; 9] =
    ["ALL", "CONFIG", "HTTP", "NOTE", "NORMAL", "DEFAULT", "SUCCESS", "ATTENTION", "SPAM"];
/// Words that are levels in fields and columns, and begin messages otherwise. Go's runtime prints "panic: …", which is
/// a message and no logger's level.
const WORDS: &str = "panic errors fault normal ok all http config log hint statement detail context query default \
                     success note fine attention fail failed failure";

/// The level of a bare word at the place of a header, with the byte that follows it (0 at the end).
///
/// Where no delimiter follows, only a word in capitals counts, and a few that no sentence begins with: "error reading
/// x" is a message, "ERROR reading x" a level and a message.
pub(super) fn from_bare(word: &str, next: u8) -> Option<Level> {
    if word.len() < 2 || word.len() > LONGEST {
        return None;
    }
    let level = from_name(word)?;
    let delimited = matches!(next, b':' | b']' | b'|' | b'>' | b'\t');
    let capitals = !word.bytes().any(|byte| byte.is_ascii_lowercase());
    let spaced = matches!(next, b' ' | b',' | 0 | b'[' | b'(' | b'\n' | b'\r' | b'/' | b'-' | b';');
    let is_a_level = match word {
        "LOG" => delimited || next == b' ',
        _ if LABELS.contains(&word) => false,
        _ if capitals && AMBIGUOUS.contains(&word) => next == b'|',
        _ if capitals || matches!(word, "info" | "warn" | "Info" | "Warn") => delimited || spaced,
        _ if WORDS.split(' ').any(|other| other.eq_ignore_ascii_case(word)) => false,
        _ => delimited,
    };
    is_a_level.then_some(level)
}

/// The level of a structured field's value: a number by the scale that it fits, else a name.
pub(super) fn from_field(value: &str) -> Option<Level> {
    let value = value.trim();
    match value.as_bytes().first()? {
        b'0'..=b'9' => from_number(value.split('.').next()?.parse().ok()?),
        // zap counts logr's verbosity downwards: -1, -2 … are debug.
        b'-' => Some(Level::Debug),
        b'[' | b'(' | b'<' => from_name(value.trim_matches(['[', ']', '(', ')', '<', '>', ' '])),
        _ => from_name(value).or_else(|| from_name(value.rsplit(['.', ' ', '_']).next()?)),
    }
}

/// The level of a number: syslog and GELF 0–7, pino and bunyan 10–60, Monolog 100–600, Java 1000–50000.
pub(super) fn from_number(number: u32) -> Option<Level> {
    Some(match number {
        0..=7 => from_syslog(number)?,
        10 => Level::Trace,
        20 => Level::Debug,
        30 => Level::Info,
        35 => Level::Notice,
        40 => Level::Warn,
        50 => Level::Error,
        60 => Level::Fatal,
        100 => Level::Debug,
        200 => Level::Info,
        250 => Level::Notice,
        300 => Level::Warn,
        400 => Level::Error,
        500 => Level::Critical,
        550 => Level::Alert,
        600 => Level::Emergency,
        5_000 => Level::Trace,
        10_000 => Level::Debug,
        20_000 => Level::Info,
        30_000 => Level::Warn,
        40_000 => Level::Error,
        50_000 => Level::Fatal,
        _ => return None,
    })
}

/// The level of a syslog severity (RFC 5424, table 2).
pub(super) fn from_syslog(severity: u32) -> Option<Level> {
    Some(match severity {
        0 => Level::Emergency,
        1 => Level::Alert,
        2 => Level::Critical,
        3 => Level::Error,
        4 => Level::Warn,
        5 => Level::Notice,
        6 => Level::Info,
        7 => Level::Debug,
        _ => return None,
    })
}

/// The level of Python's `levelno`, whose 40 and 50 lie a step above those of pino.
pub(super) fn from_python_number(value: &str) -> Option<Level> {
    Some(match value {
        "10" => Level::Debug,
        "20" => Level::Info,
        "25" => Level::Notice,
        "30" => Level::Warn,
        "40" => Level::Error,
        "50" => Level::Critical,
        _ => return None,
    })
}

/// The level of OpenTelemetry's `SeverityNumber`, 1 to 24 in steps of four.
pub(super) fn from_otel_number(value: &str) -> Option<Level> {
    Some(match value.parse().ok()? {
        1..=4 => Level::Trace,
        5..=8 => Level::Debug,
        9..=12 => Level::Info,
        13..=16 => Level::Warn,
        17..=20 => Level::Error,
        21..=24_u32 => Level::Fatal,
        _ => return None,
    })
}

/// The level of a letter in a place where a format prints only letters (klog, Android, MongoDB).
pub(super) fn from_letter(letter: u8) -> Option<Level> {
    Some(match letter {
        b'T' => Level::Trace,
        b'D' | b'V' => Level::Debug,
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'C' => Level::Critical,
        b'F' | b'A' => Level::Fatal,
        _ => return None,
    })
}

/// The level of a symbol that Redis prints between time and message.
pub(super) fn from_redis(symbol: u8) -> Option<Level> {
    Some(match symbol {
        b'.' => Level::Debug,
        b'-' => Level::Info,
        b'*' => Level::Notice,
        b'#' => Level::Warn,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_all_loggers_and_languages() {
        let cases = [
            (Level::Trace, "TRACE trc FINEST Silly"),
            (Level::Debug, "DEBUG dbg FINE debug1 D Verbose V"),
            (Level::Info, "INFO Information inf LOG I 信息 情報 정보 información"),
            (Level::Notice, "NOTICE note HINWEIS 通知"),
            (
                Level::Warn,
                "WARN WARNING wrn W WARNUNG AVERTISSEMENT ADVERTENCIA AVISO ПРЕДУПРЕЖДЕНИЕ 警告 경고",
            ),
            (
                Level::Error,
                "ERROR err eror E SEVERE fail FEHLER ERREUR ERRO ERRORE ОШИБКА 错误 エラー 오류 Błąd",
            ),
            (Level::Critical, "CRITICAL crit CRT 严重 重大"),
            (Level::Alert, "ALERT alert"),
            (Level::Fatal, "FATAL ftl F DPANIC FAILURE"),
            (Level::Emergency, "EMERGENCY emerg PANIC"),
        ];
        for (level, names) in cases {
            for name in names.split(' ') {
                assert_eq!(from_name(name), Some(level), "{name}");
            }
        }
        for word in ["", "errored", "warnings!", "infos", "a very long word that is no level at all", "ä"] {
            assert_eq!(from_name(word), None, "{word}");
        }
    }

    #[test]
    fn a_bare_word_is_a_level_only_where_no_sentence_begins_with_it() {
        let cases = [
            ("ERROR", b' ', true),
            ("error", b' ', false),
            ("error", b':', true),
            ("Warning", b':', true),
            ("Warning", b' ', false),
            ("info", b' ', true),
            ("LOG", b':', true),
            ("log", b':', false),
            ("panic", b':', false),
            ("E", b' ', false),
            ("ERROR", b'=', false),
            ("ERROR", b'_', false),
            ("failed", b':', false),
            ("ОШИБКА", b':', true),
        ];
        for (word, next, expected) in cases {
            assert_eq!(from_bare(word, next).is_some(), expected, "{word} {}", next as char);
        }
    }

    #[test]
    fn numbers_are_read_by_the_scale_that_they_fit() {
        let cases = [
            ("3", Some(Level::Error)),
            ("0", Some(Level::Emergency)),
            ("30", Some(Level::Info)),
            ("50", Some(Level::Error)),
            ("60", Some(Level::Fatal)),
            ("250", Some(Level::Notice)),
            ("40000", Some(Level::Error)),
            ("30.0", Some(Level::Info)),
            ("-2", Some(Level::Debug)),
            ("31", None),
            ("99999999999999", None),
            ("LogLevel.ERROR", Some(Level::Error)),
            ("[WARN ]", Some(Level::Warn)),
        ];
        for (value, expected) in cases {
            assert_eq!(from_field(value), expected, "{value}");
        }
        assert_eq!(from_python_number("40"), Some(Level::Error));
        assert_eq!(from_otel_number("17"), Some(Level::Error));
    }
}
