//! From a rule file to matchers that find all rules in one pass.
//!
//! One Aho-Corasick automaton holds every keyword and the beginnings of every expression. A text is read once; only
//! the expressions whose beginning occurs in it are then run, most often none or two. (One `RegexSet` of all
//! expressions was tried first: its states multiply, and a line took 0.5 ms.)

use std::{collections::HashSet, ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use logrisk_base::{Level, Risk, Tag};
use serde_saphyr::Spanned;

use super::{
    DEFAULT_RULES, Rules,
    context::Negations,
    examples::Example,
    expression::Expression,
    file::{self, Parent, RiskRange, RuleEntry, RuleFile, RulesError},
};

/// One rule, ready to match.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) tag: Option<Tag>,
    pub(super) risk: Option<RiskRange>,
    pub(super) bonus: u8,
    pub(super) negatable: bool,
    word: bool,
    case_sensitive: bool,
    expression: Option<Expression>,
    unless: Vec<Expression>,
    unless_level: Vec<Level>,
}

/// All rules of a file.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) rules: Vec<Rule>,
    automaton: AhoCorasick,
    /// What each pattern of the automaton stands for.
    needles: Vec<Needle>,
    /// Rules whose expression can begin with anything: run on every text.
    always: Vec<usize>,
}

/// A pattern of the automaton, with the index of its rule.
#[derive(Debug)]
enum Needle {
    Keyword(usize, String),
    Beginning(usize),
}

impl Compiled {
    /// Offers `accept` the places where each rule is found, from byte `start` on; rules in the order of the file, the
    /// places of each in the order of the text, until `accept` takes one of them.
    pub(super) fn search(
        &self,
        level: Option<Level>,
        text: &str,
        start: usize,
        mut accept: impl FnMut(&Rule, Range<usize>) -> bool,
    ) {
        let mut settled = None;
        for (owner, place) in self.hits(text, start) {
            let Some(rule) = self.rules.get(owner) else { continue };
            if settled != Some(owner) && (rule.cancelled(level, text) || accept(rule, place)) {
                settled = Some(owner);
            }
        }
    }

    /// Every rule found, with the place; sorted.
    pub(super) fn hits(&self, text: &str, start: usize) -> Vec<(usize, Range<usize>)> {
        let mut hits = Vec::new();
        let mut candidates = self.always.clone();
        for found in self.automaton.find_overlapping_iter(text.get(start..).unwrap_or_default()) {
            match self.needles.get(found.pattern().as_usize()) {
                Some(Needle::Beginning(owner)) => candidates.push(*owner),
                Some(Needle::Keyword(owner, keyword)) => {
                    let place = found.start() + start..found.end() + start;
                    let rule = self.rules.get(*owner);
                    if rule.is_some_and(|rule| rule.accepts(text, &place, keyword)) {
                        hits.push((*owner, place));
                    }
                }
                None => {}
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        for owner in candidates {
            let Some(rule) = self.rules.get(owner) else { continue };
            let Some(expression) = rule.expression.as_ref().and_then(Expression::compiled) else { continue };
            // `find_iter` cannot start behind the level and still see what stands before it.
            let places = expression.find_iter(text).map(|found| found.range());
            let places = places.filter(|place| place.start >= start && (!rule.word || is_word(text, place)));
            hits.extend(places.map(|place| (owner, place)));
        }
        hits.sort_unstable_by_key(|(owner, place)| (*owner, place.start));
        hits
    }
}

impl Rule {
    fn accepts(&self, text: &str, place: &Range<usize>, keyword: &str) -> bool {
        let same_case = !self.case_sensitive || text.get(place.clone()) == Some(keyword);
        same_case && (!self.word || is_word(text, place))
    }

    #[cfg(test)]
    pub(super) fn finds_expression(&self, text: &str) -> bool {
        let expression = self.expression.as_ref().and_then(Expression::compiled);
        expression.is_some_and(|expression| {
            expression.find_iter(text).any(|found| !self.word || is_word(text, &found.range()))
        })
    }

    fn cancelled(&self, level: Option<Level>, text: &str) -> bool {
        level.is_some_and(|level| self.unless_level.contains(&level))
            || self.unless.iter().any(|unless| unless.is_match(text))
    }
}

/// Whether no letter, digit or underscore touches the place.
fn is_word(text: &str, place: &Range<usize>) -> bool {
    let part = |character: char| character.is_alphanumeric() || character == '_';
    let before = text.get(..place.start).and_then(|part| part.chars().next_back());
    let after = text.get(place.end..).and_then(|part| part.chars().next());
    !before.is_some_and(part) && !after.is_some_and(part)
}

/// Compiles a file, on top of the default rules where it extends them. `shipped`: it is the default file.
pub(super) fn rules(mut file: RuleFile, shipped: bool) -> Result<Rules, RulesError> {
    let mut negations_shipped = shipped;
    let mut builder = Builder::default();
    let own: HashSet<String> = file.rules.iter().map(|rule| rule.name.value.clone()).collect();
    for entry in file.rules {
        builder.add(entry, shipped)?;
    }
    if file.extends == Some(Parent::Default) {
        let parent = file::read(DEFAULT_RULES)?;
        file.levels = file.levels.or(parent.levels);
        file.max_bonus = file.max_bonus.or(parent.max_bonus);
        negations_shipped = file.negations.is_none();
        file.negations = file.negations.or(parent.negations);
        // A rule of the same name takes the place of the default's: that is how a default rule is switched off.
        for mut entry in parent.rules.into_iter().filter(|rule| !own.contains(&rule.name.value)) {
            // The default's examples hold for the default's rules alone; the user's may rightly overrule them.
            entry.examples.clear();
            builder.add(entry, true)?;
        }
    }
    let levels = file.levels.ok_or_else(|| {
        RulesError::nowhere("the file has no levels; add them or begin with `extends: default`".to_owned())
    })?;
    let negations = Negations::compile(file.negations.unwrap_or_default(), negations_shipped)?;
    let max_bonus = file.max_bonus.map_or(5, Risk::get);
    let (compiled, examples) = builder.finish()?;
    Ok(Rules { levels, max_bonus, negations, compiled, examples })
}

#[derive(Default)]
struct Builder {
    names: HashSet<Arc<str>>,
    rules: Vec<Rule>,
    patterns: Vec<String>,
    needles: Vec<Needle>,
    always: Vec<usize>,
    examples: Vec<Example>,
}

impl Builder {
    /// `shipped`: the rule is known to compile, so that its expressions need not be compiled before they are used.
    fn add(&mut self, entry: RuleEntry, shipped: bool) -> Result<(), RulesError> {
        check(&entry)?;
        let index = self.rules.len();
        let name: Arc<str> = Arc::from(entry.name.value.as_str());
        if !self.names.insert(Arc::clone(&name)) {
            return Err(wrong(
                &entry.name,
                &name,
                "another rule has this name; rename one of the two".into(),
            ));
        }
        for keyword in entry.keyword.into_iter().chain(entry.keywords) {
            self.patterns.push(keyword.value.clone());
            self.needles.push(Needle::Keyword(index, keyword.value));
        }
        let new = |source: &Spanned<String>| {
            let expression = Expression::new(&source.value, entry.case_sensitive);
            let checked = if shipped { Ok(()) } else { expression.check() };
            checked.map(|()| expression).map_err(|problem| wrong(source, &name, problem))
        };
        let expression = entry.regex.as_ref().map(new).transpose()?;
        let unless = entry.unless.iter().map(new).collect::<Result<_, _>>()?;
        match expression.as_ref().map(Expression::beginnings) {
            Some(Some(beginnings)) => {
                self.needles.extend(beginnings.iter().map(|_| Needle::Beginning(index)));
                self.patterns.extend(beginnings);
            }
            Some(None) => self.always.push(index),
            None => {}
        }
        self.examples.extend(entry.examples.into_iter().map(|example| Example::new(&name, example)));
        self.rules.push(Rule {
            name,
            tag: entry.tag,
            risk: entry.risk,
            bonus: entry.bonus.map_or(0, Risk::get),
            negatable: entry.negatable,
            word: entry.word,
            case_sensitive: entry.case_sensitive,
            expression,
            unless,
            unless_level: entry.unless_level,
        });
        Ok(())
    }

    fn finish(self) -> Result<(Compiled, Vec<Example>), RulesError> {
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            // A table of all transitions would search faster and take several times as long to build.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&self.patterns)
            .map_err(|error| RulesError::nowhere(format!("the rules together are too large: {error}")))?;
        let Self { rules, needles, always, examples, .. } = self;
        Ok((Compiled { rules, automaton, needles, always }, examples))
    }
}

fn check(entry: &RuleEntry) -> Result<(), RulesError> {
    let name = &entry.name.value;
    if let Some(on) = &entry.on {
        let problem = format!(
            "on: {} is not supported; rules see the masked text only, so that their verdict holds for the whole \
             pattern and can be cached; remove the field",
            on.value
        );
        return Err(wrong(on, name, problem));
    }
    if let Some(empty) = entry.keyword.iter().chain(&entry.keywords).find(|word| word.value.trim().is_empty())
    {
        return Err(wrong(empty, name, "an empty keyword would match every line; remove it".into()));
    }
    if entry.keyword.is_none() && entry.keywords.is_empty() && entry.regex.is_none() {
        return Err(wrong(&entry.name, name, "nothing to match; add keyword, keywords or regex".into()));
    }
    if entry.tag.is_none() && entry.risk.is_none() && entry.bonus.is_none() {
        return Err(wrong(&entry.name, name, "the rule says nothing; add tag, risk or bonus".into()));
    }
    Ok(())
}

fn wrong(at: &Spanned<String>, rule: &str, problem: String) -> RulesError {
    RulesError::at(at.referenced, Some(rule), problem)
}
