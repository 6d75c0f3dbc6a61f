//! Better targets for weak pairs: what a developer's level means depends on the project and on the words.
//!
//! ```text
//! target = 0.7 × normal(ridge(words, level), residual) + 0.3 × P(risk | level, project)
//! ```
//!
//! Both parts are fitted to the messages that people read, the regression also to the templates. `P` is shrunk from the project's own counts towards all
//! projects', which undoes habits such as postgres' LOG or a project that calls everything an error. The ridge
//! regression sees hashed words, pairs of words, parts of words and the level. The test at the end cross-validates by
//! project: the level alone misses a reader's risk by 1.06, the mixture by less.

use foldhash::HashMap;
use logrisk_base::{Level, Risk};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{
    levels,
    sources::ReadLabel,
    target::{self, Distribution},
    template::Template,
};
use crate::sparse::{Row, dot, ridge};

/// Columns of words and pairs of words: 4,500 messages have about 20,000 that occur twice, so few collide.
const WORD_COLUMNS: usize = 1 << 16;
/// Columns of parts of words, which tell `unreachable` from `reachable` and join spellings. Cross-validated by project
/// they took the mixture's miss from .91 to .88.
const PART_COLUMNS: usize = 3 << 16;
/// Words, parts, and one column for each class of levels.
const COLUMNS: usize = WORD_COLUMNS + PART_COLUMNS + 5;
/// Chosen by cross-validation by project among 0.5, 1 and 2.
const RIDGE: f32 = 1.0;
/// How many of a project's own labels count as much as all the others' together.
const SHRINKAGE: f32 = 20.0;
/// The share of the regression in the mixture (measured before this code: 0.7 was best of 0.5, 0.7, 1).
const REGRESSION_SHARE: f32 = 0.7;
/// What the regression misses by (standard deviation), cross-validated by project.
const RESIDUAL: f32 = 1.15;
/// The fitted mixture.
#[derive(Debug)]
pub(super) struct Refiner {
    overall: [Distribution; 5],
    projects: HashMap<String, [Distribution; 5]>,
    regression: Option<Regression>,
}

impl Refiner {
    /// Fits both parts. Without labels a level means what the scale says of it.
    #[must_use]
    pub(super) fn fit(labels: &[ReadLabel], templates: &[Template]) -> Self {
        let mut counts = [[0.0f32; Risk::COUNT]; 5];
        let mut by_project: HashMap<String, [[f32; Risk::COUNT]; 5]> = HashMap::default();
        for label in labels {
            let Some(level) = label.level else { continue };
            let own = by_project.entry(label.software.clone()).or_insert([[0.0; Risk::COUNT]; 5]);
            for (slot, share) in target::read(label.risk, label.or).into_iter().enumerate() {
                counts[levels::class(level)][slot] += share;
                own[levels::class(level)][slot] += share;
            }
        }
        // The scale's own reading of a level counts as three labels, so that an unseen level is not uniform.
        let priors = [1.0, 2.0, 4.0, 6.0, 8.0].map(|mean| target::normal(mean, 1.5));
        let overall: [Distribution; 5] =
            std::array::from_fn(|class| blend(&counts[class], &priors[class], 3.0));
        let projects = by_project
            .into_iter()
            .map(|(project, own)| {
                (project, std::array::from_fn(|class| blend(&own[class], &overall[class], SHRINKAGE)))
            })
            .collect();
        let lessons = labels.iter().map(Lesson::of_label).chain(templates.iter().map(Lesson::of_template));
        Self { overall, projects, regression: Regression::fit(&lessons.collect::<Vec<_>>()) }
    }

    /// The target of a weak pair.
    #[must_use]
    pub(super) fn target(&self, text: &str, class: usize, project: &str) -> Distribution {
        let class = class.min(4);
        let by_level = &self.projects.get(project).unwrap_or(&self.overall)[class];
        let Some(regression) = &self.regression else { return *by_level };
        let mean = regression.predict(text, Some(levels::of_class(class)));
        let mut mixed = target::normal(mean, RESIDUAL);
        for (slot, share) in mixed.iter_mut().zip(by_level) {
            *slot = REGRESSION_SHARE * *slot + (1.0 - REGRESSION_SHARE) * share;
        }
        mixed
    }
}

fn blend(counts: &Distribution, prior: &Distribution, strength: f32) -> Distribution {
    let mut blended: Distribution = std::array::from_fn(|slot| counts[slot] + strength * prior[slot]);
    target::normalise(&mut blended);
    blended
}

/// Ridge regression of the risk on TF-IDF words.
#[derive(Debug)]
struct Regression {
    inverse_frequency: Vec<f32>,
    coefficients: Vec<f32>,
    mean: f32,
}

/// What the regression learns from. The name of a template's placeholder is a word that no message has.
struct Lesson<'a> {
    text: &'a str,
    level: Option<Level>,
    risk: f32,
}

impl<'a> Lesson<'a> {
    fn of_label(label: &'a ReadLabel) -> Self {
        let risk = target::mean(&target::read(label.risk, label.or));
        Self { text: &label.text, level: label.level, risk }
    }

    fn of_template(template: &'a Template) -> Self {
        let risk = target::mean(&target::authored(template.risk, template.low, template.high));
        Self { text: &template.text, level: template.level, risk }
    }
}

impl Regression {
    fn fit(lessons: &[Lesson<'_>]) -> Option<Self> {
        // Fewer than this say more about single messages than about words.
        if lessons.len() < 100 {
            return None;
        }
        let features: Vec<Features> = lessons.iter().map(|lesson| Features::of(lesson.text)).collect();
        let mut documents = vec![0u32; COLUMNS];
        for column in features.iter().flat_map(|features| features.words.iter().chain(&features.parts)) {
            documents[*column as usize] += 1;
        }
        let total = lessons.len() as f32;
        // What stands in one message says something of that message alone.
        let rarity = |count: u32| ((1.0 + total) / (1.0 + count as f32)).ln() + 1.0;
        let inverse_frequency: Vec<f32> =
            documents.iter().map(|&count| if count < 2 { 0.0 } else { rarity(count) }).collect();
        let rows: Vec<Row> = (lessons.iter().zip(&features))
            .map(|(lesson, features)| features.row(lesson.level, &inverse_frequency))
            .collect();
        let mean = lessons.iter().map(|lesson| lesson.risk).sum::<f32>() / total;
        let centered: Vec<f32> = lessons.iter().map(|lesson| lesson.risk - mean).collect();
        let coefficients = ridge(&rows, COLUMNS, RIDGE, &centered);
        Some(Self { inverse_frequency, coefficients, mean })
    }

    fn predict(&self, text: &str, level: Option<Level>) -> f32 {
        self.mean + dot(&Features::of(text).row(level, &self.inverse_frequency), &self.coefficients)
    }
}

/// The hashed features of a text, each once: words and pairs of neighbouring words; parts of three to five letters,
/// a space standing for either end of a word. All in lower case.
struct Features {
    words: Vec<u32>,
    parts: Vec<u32>,
}

impl Features {
    fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let (mut words, mut parts) = (Vec::new(), Vec::new());
        let mut previous = "";
        let mut letters: Vec<char> = Vec::new();
        for word in lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            words.push(column("", word, WORD_COLUMNS));
            if !previous.is_empty() {
                words.push(column(previous, word, WORD_COLUMNS));
            }
            previous = word;
            letters.clear();
            letters.extend([' '].into_iter().chain(word.chars()).chain([' ']));
            for length in 3..=5 {
                for part in letters.windows(length) {
                    let part: String = part.iter().collect();
                    parts.push(WORD_COLUMNS as u32 + column("", &part, PART_COLUMNS));
                }
            }
        }
        for columns in [&mut words, &mut parts] {
            columns.sort_unstable();
            columns.dedup();
        }
        Self { words, parts }
    }

    /// Words and parts each weighted by rarity and brought to unit length, then the level.
    fn row(&self, level: Option<Level>, inverse_frequency: &[f32]) -> Row {
        let mut row = Row::with_capacity(self.words.len() + self.parts.len() + 1);
        for columns in [&self.words, &self.parts] {
            let begin = row.len();
            let known = columns.iter().map(|&column| (column, inverse_frequency[column as usize]));
            row.extend(known.filter(|(_, value)| *value > 0.0));
            let length = row[begin..].iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
            row[begin..].iter_mut().for_each(|(_, value)| *value /= length);
        }
        if let Some(level) = level {
            row.push(((COLUMNS - 5 + levels::class(level)) as u32, 1.0));
        }
        row
    }
}

/// XXH3, since a recipe must give the same targets on every machine and in every release.
fn column(first: &str, second: &str, columns: usize) -> u32 {
    let seed = if first.is_empty() { 0 } else { xxh3_64(first.as_bytes()) };
    (xxh3_64_with_seed(second.as_bytes(), seed) % columns as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str, level: Level, risk: u8, software: &str) -> ReadLabel {
        ReadLabel {
            text: text.into(),
            level: Some(level),
            risk: Risk::new(risk).unwrap(),
            or: None,
            software: software.into(),
        }
    }

    #[test]
    fn words_and_projects_move_the_target() {
        let mut labels = Vec::new();
        for index in 0..100 {
            labels.push(label(&format!("disk {index} is corrupt"), Level::Error, 8, "calm"));
            labels.push(label(&format!("retry of item {index} skipped"), Level::Error, 4, "loud"));
        }
        let refiner = Refiner::fit(&labels, &[]);
        let risky = target::mean(&refiner.target("disk x is corrupt", 3, "unknown"));
        let harmless = target::mean(&refiner.target("retry of item y skipped", 3, "unknown"));
        assert!(risky > harmless + 1.5, "{risky} {harmless}");
        let (calm, loud) = (refiner.target("other", 3, "calm"), refiner.target("other", 3, "loud"));
        assert!(target::mean(&calm) > target::mean(&loud));
    }

    #[test]
    fn without_labels_the_scale_speaks() {
        let refiner = Refiner::fit(&[], &[]);
        let means: Vec<f32> = (0..5).map(|class| target::mean(&refiner.target("x", class, ""))).collect();
        assert!(means.is_sorted(), "{means:?}");
    }

    /// Run with `LOGRISK_READ_LABELS=risk-labels.jsonl cargo test -p logrisk-train cross_validation -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement on data that is not in the repository"]
    fn cross_validation() {
        let path = std::env::var_os("LOGRISK_READ_LABELS").unwrap();
        let labels = super::super::sources::read_labels(&[path.into()]).unwrap();
        let mut projects: Vec<&str> = labels.iter().map(|label| label.software.as_str()).collect();
        projects.sort_unstable();
        projects.dedup();
        let (mut mixed, mut level, mut square, mut count) = (0.0, 0.0, 0.0, 0.0);
        for fold in 0..5 {
            let inside =
                |label: &ReadLabel| projects.iter().position(|p| *p == label.software).unwrap() % 5 == fold;
            let (test, train): (Vec<_>, Vec<_>) = labels.iter().cloned().partition(inside);
            let refiner = Refiner::fit(&train, &[]);
            for label in test {
                let class = levels::class(label.level.unwrap());
                let truth = f32::from(label.risk.get());
                let mean = target::mean(&refiner.target(&label.text, class, ""));
                mixed += (mean - truth).abs();
                level += (target::mean(&refiner.overall[class]) - truth).abs();
                let value = refiner.regression.as_ref().unwrap().predict(&label.text, label.level);
                square += (value - truth).powi(2);
                count += 1.0;
            }
        }
        println!(
            "MAE level {:.3}, mixture {:.3}, residual of the regression {:.3}",
            level / count,
            mixed / count,
            (square / count).sqrt()
        );
        assert!(mixed < level);
    }
}
