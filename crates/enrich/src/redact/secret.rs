//! The kinds of secrets: the marks that call for a closer look, and the expressions that find them.

use std::ops::Range;

use regex::Captures;

use super::value;

/// A kind of secret. The order is that of their application: the longest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secret {
    /// PEM blocks of private keys, with real or written-out line ends; one without its end goes to the end of the text.
    PrivateKey,
    /// Tokens that are known by their own form: cloud, forge, chat and payment services, JWT.
    Token,
    /// `user:password@` in URLs.
    Url,
    /// `Authorization: Bearer …`, also without the header's name.
    Authorization,
    /// `password=…`, `"api_key": "…"`, `--token …`, `IDENTIFIED BY '…'`, signatures in query strings.
    Assignment,
}

/// What replaces a secret. The mask keeps it.
const HIDDEN: &str = "<secret>";

impl Secret {
    pub(super) const ALL: [Self; 5] =
        [Self::PrivateKey, Self::Token, Self::Url, Self::Authorization, Self::Assignment];

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }

    pub(super) const fn expression(self) -> &'static str {
        match self {
            Self::PrivateKey => {
                r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\z)"
            }
            // Sources: each service's own documentation of its prefixes; lengths are lower bounds.
            Self::Token => concat!(
                r"(?-u:\b)(?:(?:AKIA|ASIA)[0-9A-Z]{16}(?-u:\b)",
                r"|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,}",
                r"|gh[pousr]_[0-9A-Za-z]{30,}|github_pat_[0-9A-Za-z_]{22,}|glpat-[0-9A-Za-z_-]{20,}",
                r"|xox[abps]-[0-9A-Za-z-]{10,}|[sr]k_(?:live|test)_[0-9A-Za-z]{10,}",
                r"|npm_[0-9A-Za-z]{36}|pypi-[0-9A-Za-z_-]{50,}",
                r"|sk-[0-9A-Za-z_-]{20,}|hvs\.[0-9A-Za-z_-]{20,}",
                r"|eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*)",
                r"|hooks\.slack\.com/services/([0-9A-Za-z/]{10,})",
            ),
            Self::Url => r#"://[^\s/:@"'<>]*:([^\s@"'<>]+)@"#,
            Self::Authorization => {
                r#"(?i)(?:(authorization["']?\s*[:=]\s*\\?["']?)(?:(?:bearer|basic|digest|token|apikey|aws4-hmac-sha256)\s+)?|(?-u:\b)(?:bearer|basic)\s+)([^\s"',;\\]+)"#
            }
            Self::Assignment => concat!(
                r#"(?i)(?:(?P<key>[0-9a-z_.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?"#,
                r#"|(?:api|access|private|account|secret|shared[_-]?access|auth|encryption|signing|session|master)[_-]?key)"#,
                r#"(?:[_-]?(?:id|hash))?)(?:\\?["'])?(?P<separator>\s*(?:=>|:=|[:=])\s*)"#,
                r#"|(?P<option>--[0-9a-z-]*(?:password|passwd|secret|token|api-key|access-key)\s+)"#,
                r#"|(?P<sql>identified (?:with [0-9a-z_]+ )?by (?:password )?|with (?:encrypted )?password )"#,
                r#"|(?P<query>[?&](?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|code)=))"#,
                r#"(?:"(?P<double>(?:[^"\\]|\\.)*)"?|\\"(?P<escaped>[^"\\]*)|'(?P<single>[^']*)'?|(?P<bare>\$\{[^}]*\}|[^\s,;&"'<>(){}\[\]\\=:][^\s,;&"'<>(){}\[\]\\]*))"#,
            ),
        }
    }

    /// The part of a match that is the secret; `None` where it only looks like one.
    pub(super) fn hidden(self, found: &Captures<'_>, haystack: &str) -> Option<(Range<usize>, &'static str)> {
        let place = match self {
            Self::PrivateKey => found.get(0)?.range(),
            Self::Token => found.get(1).or_else(|| found.get(0))?.range(),
            Self::Url => {
                let password = found.get(1)?;
                // `https://host:8080/@me`: a port and a path.
                let port = password.as_str().trim_start_matches(|character: char| character.is_ascii_digit());
                (!port.starts_with('/')).then(|| password.range())?
            }
            Self::Authorization => {
                let secret = found.get(2)?;
                let named = found.get(1).is_some();
                let real = if named {
                    !value::reports_state(secret.as_str())
                } else {
                    value::looks_random(secret.as_str())
                };
                real.then(|| secret.range())?
            }
            Self::Assignment => assigned(found, haystack)?,
        };
        Some((place, HIDDEN))
    }
}

fn assigned(found: &Captures<'_>, haystack: &str) -> Option<Range<usize>> {
    let quoted = found.name("double").or_else(|| found.name("escaped")).or_else(|| found.name("single"));
    if let Some(secret) = quoted {
        return (!value::is_nothing(secret.as_str())).then(|| secret.range());
    }
    let secret = found.name("bare")?;
    let text = secret.as_str();
    let next = found.get(0).and_then(|whole| haystack.as_bytes().get(whole.end()));
    if value::is_object(text, next) {
        return None;
    }
    let Some(key) = found.name("key") else {
        return (!value::reports_state(text)).then(|| secret.range());
    };
    let is_password = ["pass", "pwd"].iter().any(|part| key.as_str().to_ascii_lowercase().contains(part));
    // `token=12` counts; `password=12` is a bad password.
    let counts =
        !is_password && text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    // `secret: default/registry` names one; `secret=abc` is one.
    let prose = found.name("separator").is_some_and(|separator| separator.as_str().ends_with([' ', '\t']));
    let names = !is_password && prose && !value::looks_random(text);
    (!counts && !names && !value::reports_state(text)).then(|| secret.range())
}

/// What a text must contain for a kind of secret to be looked for, in the letter cases that occur. At most 64 of at
/// least 4 bytes, so that one vectorised pass finds them; with marks of 3 bytes it takes half as long again. `eyJ…` are
/// the first keys of a JWT's header: alg, typ, kid, zip, enc, jku.
pub(super) const MARKS: [(&str, Secret); 63] = [
    ("PRIVATE KEY", Secret::PrivateKey),
    ("AKIA", Secret::Token),
    ("ASIA", Secret::Token),
    ("AIza", Secret::Token),
    ("ya29.", Secret::Token),
    ("ghp_", Secret::Token),
    ("gho_", Secret::Token),
    ("ghu_", Secret::Token),
    ("ghs_", Secret::Token),
    ("ghr_", Secret::Token),
    ("github_pat_", Secret::Token),
    ("glpat-", Secret::Token),
    ("xoxb-", Secret::Token),
    ("xoxp-", Secret::Token),
    ("xoxa-", Secret::Token),
    ("xoxs-", Secret::Token),
    ("k_live_", Secret::Token),
    ("k_test_", Secret::Token),
    ("npm_", Secret::Token),
    ("pypi-", Secret::Token),
    ("sk-p", Secret::Token),
    ("sk-a", Secret::Token),
    ("hvs.", Secret::Token),
    ("eyJh", Secret::Token),
    ("eyJ0", Secret::Token),
    ("eyJr", Secret::Token),
    ("eyJ6", Secret::Token),
    ("eyJl", Secret::Token),
    ("eyJj", Secret::Token),
    ("hooks.slack", Secret::Token),
    ("uthorization", Secret::Authorization),
    ("UTHORIZATION", Secret::Authorization),
    ("earer ", Secret::Authorization),
    ("EARER ", Secret::Authorization),
    ("asic ", Secret::Authorization),
    ("ASIC ", Secret::Authorization),
    ("assw", Secret::Assignment),
    ("ASSW", Secret::Assignment),
    ("assphrase", Secret::Assignment),
    ("ASSPHRASE", Secret::Assignment),
    ("pwd=", Secret::Assignment),
    ("pwd\"", Secret::Assignment),
    ("Pwd=", Secret::Assignment),
    ("PWD=", Secret::Assignment),
    ("ecret", Secret::Assignment),
    ("ECRET", Secret::Assignment),
    ("oken", Secret::Assignment),
    ("OKEN", Secret::Assignment),
    ("redential", Secret::Assignment),
    ("REDENTIAL", Secret::Assignment),
    ("_key", Secret::Assignment),
    ("-key", Secret::Assignment),
    ("_KEY", Secret::Assignment),
    ("-KEY", Secret::Assignment),
    ("sKey", Secret::Assignment),
    ("iKey", Secret::Assignment),
    ("tKey", Secret::Assignment),
    ("ikey", Secret::Assignment),
    ("nKey", Secret::Assignment),
    ("dentified ", Secret::Assignment),
    ("DENTIFIED ", Secret::Assignment),
    ("ignature=", Secret::Assignment),
    ("sig=", Secret::Assignment),
];
