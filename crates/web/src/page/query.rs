//! What a view shows is in its address: the filter as people type it, the window, the view, the order.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use logrisk_base::{PatternId, Risk, Tag};
use logrisk_catalogue::{PatternQuery, Sort, State};
use serde::Deserialize;

/// The parameters as they stand in the address. Nothing is refused here: what cannot be understood is told on the page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Parameters {
    pub(crate) q: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
    pub(crate) new: Option<String>,
    pub(crate) win: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) view: Option<String>,
    pub(crate) sort: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) hide: Option<String>,
    pub(crate) cursor: Option<String>,
}

/// Windows that can be chosen: name, words, seconds.
pub(crate) const WINDOWS: [(&str, &str, u32); 4] =
    [("15m", "15 min", 900), ("1h", "1 h", 3600), ("6h", "6 h", 21_600), ("24h", "24 h", 86_400)];

/// Orders of the inbox: name, words.
pub(crate) const SORTS: [(&str, &str, Sort); 5] = [
    ("risk", "risk", Sort::Risk),
    ("unsure", "teaches most", Sort::Unsure),
    ("first_seen", "first seen", Sort::FirstSeen),
    ("last_seen", "last seen", Sort::LastSeen),
    ("count", "count", Sort::Count),
];

/// How long ago patterns of the inbox were first seen at most: name, words, seconds.
pub(crate) const SINCE: [(&str, &str, u32); 4] =
    [("", "any time", 0), ("1h", "1 h", 3600), ("24h", "24 h", 86_400), ("7d", "7 d", 604_800)];

/// What a view shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// The filter, in one line, as it stands in the filter's field.
    pub(crate) filter: String,
    /// What in it was not understood, with the remedy.
    pub(crate) mistake: Option<String>,
    text: Option<String>,
    tag: Option<Tag>,
    source: Option<String>,
    min: Option<Risk>,
    max: Option<Risk>,
    new: bool,
    /// Which of [`WINDOWS`].
    window: usize,
    /// Two times instead of a window.
    pub(crate) range: Option<(Timestamp, Timestamp)>,
    /// Line by line instead of pattern by pattern.
    pub(crate) tail: bool,
    sort: usize,
    /// Which of [`SINCE`].
    pub(crate) since: usize,
    /// Which part of the catalogue the inbox shows.
    pub(crate) state: &'static str,
    /// Patterns left out of this view.
    pub(crate) hidden: Vec<PatternId>,
    pub(crate) cursor: usize,
}

/// The words of a part of the catalogue.
pub(crate) const STATES: [(&str, &str, State); 4] = [
    ("new", "New", State::New),
    ("all", "All", State::All),
    ("corrected", "Corrected", State::Corrected),
    ("silenced", "Silenced", State::Silenced),
];

impl View {
    /// Reads the address.
    pub(crate) fn new(parameters: Parameters) -> Self {
        let mut view = Self { state: "new", ..Self::default() };
        let mut words = Vec::new();
        for word in parameters.q.as_deref().unwrap_or_default().split_whitespace() {
            if !view.token(word) {
                words.push(word);
            }
        }
        view.text = (!words.is_empty()).then(|| words.join(" "));
        // The same filters one by one, for links from elsewhere.
        let single = [
            ("tag", parameters.tag),
            ("source", parameters.source),
            ("risk:>", parameters.min),
            ("risk:<", parameters.max),
            ("new", parameters.new),
        ];
        for (name, value) in single {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let token =
                    if name.contains(':') { format!("{name}={value}") } else { format!("{name}:{value}") };
                view.token(&token);
            }
        }
        view.filter = view.as_typed();
        if let Some(mistake) = &view.mistake
            && let Some((token, _)) =
                mistake.strip_prefix("No pattern matches `").and_then(|rest| rest.split_once('`'))
        {
            view.filter = format!("{} {token}", view.filter).trim().to_owned();
        }
        view.window = position(&parameters.win, WINDOWS.iter().map(|(name, ..)| *name));
        view.sort = position(&parameters.sort, SORTS.iter().map(|(name, ..)| *name));
        view.since = position(&parameters.since, SINCE.iter().map(|(name, ..)| *name));
        view.tail = parameters.view.as_deref() == Some("tail");
        let state = position(&parameters.state, STATES.iter().map(|(name, ..)| *name));
        view.state = STATES.get(state).map_or("new", |(name, ..)| name);
        let second = |text: &Option<String>| Timestamp::from_second(text.as_ref()?.parse().ok()?).ok();
        view.range = second(&parameters.from).zip(second(&parameters.to)).filter(|(from, to)| from < to);
        view.hidden = parameters
            .hide
            .iter()
            .flat_map(|list| list.split([',', ' ']))
            .filter_map(|id| id.parse().ok())
            .collect();
        view.cursor = parameters.cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        view
    }

    /// Takes a `name:value` if it is one of ours.
    fn token(&mut self, token: &str) -> bool {
        let Some((name, value)) = token.split_once(':') else { return false };
        match name {
            "tag" => match value.parse() {
                Ok(tag) => self.tag = Some(tag),
                Err(_) => {
                    let guess = Tag::ALL.iter().min_by_key(|tag| distance(tag.as_str(), value));
                    let guess = guess.map_or("ERROR", |tag| tag.as_str());
                    self.mistake = Some(format!("No pattern matches `{token}`. Did you mean {guess}?"));
                }
            },
            "source" => self.source = Some(value.to_owned()),
            "new" => self.new = value != "no",
            "risk" => match risks(value) {
                Some((min, max)) => {
                    self.min = min.or(self.min);
                    self.max = max.or(self.max);
                }
                None => {
                    self.mistake = Some(format!(
                        "No pattern matches `{token}`. Risks are 0 to 10: risk:>=6, risk:<=3, risk:7."
                    ));
                }
            },
            _ => return false,
        }
        true
    }

    fn as_typed(&self) -> String {
        let mut typed = self.text.clone().unwrap_or_default();
        let mut push = |token: String| {
            if !typed.is_empty() {
                typed.push(' ');
            }
            typed.push_str(&token);
        };
        if let Some(tag) = self.tag {
            push(format!("tag:{tag}"));
        }
        if let Some(source) = &self.source {
            push(format!("source:{source}"));
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => push(format!("risk:{min}")),
            (min, max) => {
                if let Some(min) = min {
                    push(format!("risk:>={min}"));
                }
                if let Some(max) = max {
                    push(format!("risk:<={max}"));
                }
            }
        }
        if self.new {
            push("new:yes".to_owned());
        }
        typed
    }

    /// Whether nothing is left out but by time.
    pub(crate) fn is_plain(&self) -> bool {
        self.filter.is_empty() && self.hidden.is_empty()
    }

    /// The window's name, its words and its seconds.
    pub(crate) fn window(&self) -> (&'static str, &'static str, u32) {
        WINDOWS.get(self.window).copied().unwrap_or(("15m", "15 min", 900))
    }

    /// The name of the order.
    pub(crate) fn sort(&self) -> &'static str {
        SORTS.get(self.sort).map_or("risk", |(name, ..)| name)
    }

    /// The end of what is shown and the seconds before it.
    pub(crate) fn span(&self, now: Timestamp) -> (Timestamp, u32) {
        match self.range {
            Some((from, to)) => (to, u32::try_from(to.as_second() - from.as_second()).unwrap_or(900)),
            None => (now, self.window().2),
        }
    }

    /// Seconds since which patterns of the inbox were first seen.
    fn first_window(&self) -> Option<u32> {
        SINCE.get(self.since).map(|(.., seconds)| *seconds).filter(|seconds| *seconds > 0)
    }

    /// Whether the inbox shows one source only.
    pub(crate) const fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// The question to the catalogue, without a part, an order and a limit.
    pub(crate) fn filter(&self) -> PatternQuery {
        PatternQuery {
            min_risk: self.min,
            max_risk: self.max,
            tag: self.tag,
            text: self.text.clone(),
            source: self.source.clone(),
            state: if self.new { State::New } else { State::All },
            ..PatternQuery::default()
        }
    }

    /// What Now asks: everything in the window.
    pub(crate) fn now_query(&self, now: Timestamp) -> PatternQuery {
        let (to, seconds) = self.span(now);
        PatternQuery {
            since: to.checked_sub(SignedDuration::from_secs(i64::from(seconds))).ok(),
            until: self.range.map(|(_, to)| to),
            ..self.filter()
        }
    }

    /// What the inbox asks.
    pub(crate) fn inbox_query(&self, limit: usize, now: Timestamp) -> PatternQuery {
        let state = STATES.iter().find(|(name, ..)| *name == self.state);
        PatternQuery {
            state: state.map_or(State::New, |(.., state)| *state),
            sort: SORTS.get(self.sort).map_or(Sort::Risk, |(.., sort)| *sort),
            first_since: self
                .first_window()
                .and_then(|seconds| now.checked_sub(SignedDuration::from_secs(i64::from(seconds))).ok()),
            offset: self.cursor,
            limit,
            ..self.filter()
        }
    }

    /// The same filter as parameters of the API, beginning with `?`.
    fn api_parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = Vec::new();
        if let Some(risk) = self.min {
            parameters.push(("min_risk", risk.to_string()));
        }
        if let Some(risk) = self.max {
            parameters.push(("max_risk", risk.to_string()));
        }
        if let Some(tag) = self.tag {
            parameters.push(("tag", tag.to_string()));
        }
        if let Some(text) = &self.text {
            parameters.push(("q", text.clone()));
        }
        if let Some(source) = &self.source {
            parameters.push(("source", source.clone()));
        }
        if self.new {
            parameters.push(("novel", "true".to_owned()));
        }
        parameters
    }

    /// The stream of this view.
    pub(crate) fn stream(&self) -> String {
        let mut parameters = vec![("view", if self.tail { "tail" } else { "ranked" }.to_owned())];
        parameters.extend(self.api_parameters());
        address("/stream", &parameters)
    }

    /// The API's list of what Now shows.
    pub(crate) fn now_api(&self) -> String {
        let mut parameters = match self.range {
            Some((from, to)) => {
                vec![("from", from.as_second().to_string()), ("to", to.as_second().to_string())]
            }
            None => vec![("window", self.window().2.to_string())],
        };
        parameters.extend(self.api_parameters());
        parameters.push(("limit", "500".to_owned()));
        address("/patterns", &parameters)
    }

    /// The API's list of what the inbox shows.
    pub(crate) fn inbox_api(&self) -> String {
        let mut parameters = vec![("state", self.state.to_owned()), ("sort", self.sort().to_owned())];
        parameters.extend(self.first_window().map(|seconds| ("first_window", seconds.to_string())));
        parameters.extend(self.api_parameters());
        if self.cursor > 0 {
            parameters.push(("offset", self.cursor.to_string()));
        }
        address("/patterns", &parameters)
    }

    /// The inbox of one source.
    pub(crate) fn inbox_of(&self, source: &str) -> String {
        let one = Self { source: Some(source.to_owned()), ..self.clone() };
        Self { filter: one.as_typed(), ..one }.inbox_with(self.state, 0)
    }

    /// The inbox with something changed, for its links.
    pub(crate) fn inbox_with(&self, state: &str, cursor: usize) -> String {
        let mut parameters = vec![("state", state.to_owned())];
        if self.sort > 0 {
            parameters.push(("sort", self.sort().to_owned()));
        }
        if let Some((name, ..)) = SINCE.get(self.since).filter(|(name, ..)| !name.is_empty()) {
            parameters.push(("since", (*name).to_owned()));
        }
        if !self.filter.is_empty() {
            parameters.push(("q", self.filter.clone()));
        }
        if cursor > 0 {
            parameters.push(("cursor", cursor.to_string()));
        }
        address("/ui/patterns", &parameters)
    }
}

fn position<'a>(wanted: &Option<String>, names: impl Iterator<Item = &'a str>) -> usize {
    let wanted = wanted.as_deref().unwrap_or_default();
    names.into_iter().position(|name| name == wanted).unwrap_or(0)
}

/// A path with parameters, everything but letters, digits and `-_.` percent-encoded: printable ASCII without quotes.
pub(crate) fn address(path: &str, parameters: &[(&str, String)]) -> String {
    let mut address = path.to_owned();
    for (place, (name, value)) in parameters.iter().enumerate() {
        address.push(if place == 0 { '?' } else { '&' });
        address.push_str(name);
        address.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
                address.push(char::from(byte));
            } else {
                _ = write!(address, "%{byte:02X}");
            }
        }
    }
    address
}

/// `>=6`, `>5`, `<=3`, `<4`, `7`, `6..8`.
fn risks(text: &str) -> Option<(Option<Risk>, Option<Risk>)> {
    let risk = |text: &str| Risk::new(text.parse().ok()?).ok();
    let next = |text: &str, step: i8| {
        let number: i8 = text.parse().ok()?;
        Risk::new(u8::try_from(number.checked_add(step)?).ok()?).ok()
    };
    if let Some(text) = text.strip_prefix(">=") {
        return Some((Some(risk(text)?), None));
    }
    if let Some(text) = text.strip_prefix("<=") {
        return Some((None, Some(risk(text)?)));
    }
    if let Some(text) = text.strip_prefix('>') {
        return Some((Some(next(text, 1)?), None));
    }
    if let Some(text) = text.strip_prefix('<') {
        return Some((None, Some(next(text, -1)?)));
    }
    if let Some((low, high)) = text.split_once("..") {
        return Some((Some(risk(low)?), Some(risk(high)?)));
    }
    let risk = risk(text)?;
    Some((Some(risk), Some(risk)))
}

/// How many letters differ (Levenshtein), whatever the case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_ascii_uppercase().chars().take(32).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, second) in row.iter_mut().skip(1).zip(&other) {
            let best = (diagonal + usize::from(letter != *second)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(q: &str) -> View {
        View::new(Parameters { q: Some(q.to_owned()), ..Parameters::default() })
    }

    #[test]
    fn a_filter_is_read_as_it_is_shown() {
        for typed in
            ["disk full tag:ERROR source:kubelet risk:>=6 new:yes", "risk:7", "risk:>=2 risk:<=4", "a b", ""]
        {
            assert_eq!(view(typed).filter, typed);
        }
        assert_eq!(view("risk:>5 risk:<9").filter, "risk:>=6 risk:<=8");
    }

    #[test]
    fn one_parameter_each_says_the_same() {
        let parameters = Parameters {
            tag: Some("warn".to_owned()),
            min: Some("6".to_owned()),
            new: Some("yes".to_owned()),
            ..Parameters::default()
        };
        assert_eq!(View::new(parameters).filter, "tag:WARN risk:>=6 new:yes");
    }

    #[test]
    fn a_mistake_is_named_with_its_remedy() {
        assert_eq!(
            view("tag:EROR").mistake.as_deref(),
            Some("No pattern matches `tag:EROR`. Did you mean ERROR?")
        );
        assert!(view("risk:12").mistake.is_some());
        assert_eq!(view("tag:EROR disk").filter, "disk tag:EROR");
    }

    #[test]
    fn addresses_hold_no_quotes() {
        let stream = view("it's \"x\" source:a/b").stream();
        assert_eq!(stream, "/stream?view=ranked&q=it%27s%20%22x%22&source=a%2Fb");
    }
}
