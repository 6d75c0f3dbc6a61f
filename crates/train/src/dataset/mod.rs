//! From files and catalogues to examples: what a model is trained on.
//!
//! ```text
//! weak pairs ────┐ refined targets
//! read labels ───┤ target as sure as two readers agree      ┌─► draw_epoch: new formats, levels and values each time
//! templates ─────┤ placeholders filled                ─► render ─► real path: unwrap, redact, parse, mask
//! labelled lines ┘ as they are                              └─► validation(): families of software never trained on
//! ```
//!
//! An epoch is drawn by seed and number, so a run that resumes sees what it would have seen. Sources of weak pairs
//! count by the square root of their size: a project with 17,000 messages would otherwise be a seventh of what the
//! model knows. An epoch of 45,000 examples takes about a second.

mod augment;
mod canonical;
mod checks;
mod error;
mod holdout;
mod labelled;
mod levels;
mod material;
pub mod random;
mod recipe;
mod refine;
mod sources;
mod stack;
mod target;
mod template;
mod truth;
mod values;
mod wrap;

use foldhash::HashMap;
use logrisk_base::{MaskStyle, Risk, Tag};

use crate::{
    calibrate::JudgedText,
    example::{Example, ExampleSource},
};
use augment::Draft;
use material::Material;
use random::{Random, draw};
use refine::Refiner;
use sources::{ReadLabel, WeakPair};
use template::{Kind, fill_marks_into};

pub use augment::LevelMix;
pub use canonical::Canonical;
pub use error::{DatasetError, io_error};
pub use labelled::{Conflicts, Labelled, LabelledRow, read as read_labelled};
pub use recipe::{Mix, Recipe, Setting};
pub use sources::fingerprint;
pub use target::{Distribution, labelled as labelled_target, mean as expected_risk};
pub use template::{Template, embedded as embedded_templates, patterns as template_patterns};
pub(crate) use truth::is_recipe;
pub use truth::{Truth, read as read_truths};
pub use wrap::{Carrier, Format, Line};

/// Everything that a recipe names, read and divided.
#[derive(Debug)]
pub struct Dataset {
    recipe: Recipe,
    weak_pairs: Vec<WeakPair>,
    read_labels: Vec<ReadLabel>,
    templates: Vec<Template>,
    labelled: Vec<LabelledRow>,
    refiner: Refiner,
    /// Beginnings of units: a state pair is one unit of two templates.
    units: Vec<usize>,
    held_out: Vec<String>,
    validation: Vec<Example>,
    judged: Vec<JudgedText>,
    patterns: Vec<(String, Risk)>,
    /// Texts with two labels in the labelled files.
    conflicts: usize,
}

/// One draw of an epoch.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Weak(usize),
    Read(usize),
    Template(usize),
    Labelled(usize),
}

/// How much a dataset holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Weak pairs to train on.
    pub weak_pairs: usize,
    /// Read labels to train on.
    pub read_labels: usize,
    /// Templates to train on.
    pub templates: usize,
    /// Labelled lines to train on.
    pub labelled: usize,
    /// Examples to judge by.
    pub validation: usize,
    /// Texts with two labels, of which one was kept.
    pub conflicts: usize,
}

impl Dataset {
    /// Reads the files of a recipe, keeps families of software aside, and fits what refines the weak pairs.
    ///
    /// # Errors
    /// [`DatasetError`] names file, line and remedy.
    pub fn open(recipe: Recipe) -> Result<Self, DatasetError> {
        let mut material = Material::read(&recipe)?;
        let patterns = material.patterns();
        let aside = material.set_aside(recipe.held_out, recipe.seed);
        let Material { weak_pairs, read_labels, templates, labelled, conflicts } = material;
        Ok(Self {
            refiner: Refiner::fit(&read_labels, &templates),
            validation: holdout::examples(&aside.read_labels, &aside.templates, recipe.seed),
            judged: holdout::judged(&aside.read_labels, recipe.seed),
            units: units(&templates),
            held_out: aside.families,
            recipe,
            weak_pairs,
            read_labels,
            templates,
            labelled,
            patterns,
            conflicts,
        })
    }

    /// The examples of an epoch, shuffled, but both members of a state pair next to each other.
    #[must_use]
    pub fn draw_epoch(&self, epoch: usize, seed: u64) -> Vec<Example> {
        let seed = Random::part(self.recipe.seed ^ seed, epoch as u64).bits();
        let mut draws = self.draw(seed);
        Random::part(seed, u64::MAX).shuffle(&mut draws);
        let mut canonical = Canonical::new();
        let mut examples = Vec::with_capacity(draws.len() + draws.len() / 16);
        for (index, draw) in draws.into_iter().enumerate() {
            let mut random = Random::part(seed, index as u64);
            match draw {
                Draw::Weak(index) => examples.push(self.weak(index, &mut canonical, &mut random)),
                Draw::Read(index) => examples.push(read_example(
                    &self.read_labels[index],
                    self.recipe.levels,
                    &mut canonical,
                    &mut random,
                )),
                Draw::Labelled(index) => examples.push(self.labelled(index, &mut canonical, &mut random)),
                Draw::Template(index) => {
                    // Both members of a pair get the same values, format and logger: only their words differ.
                    for template in self.unit(index) {
                        let mut same = random.clone();
                        examples.push(template_example(
                            template,
                            self.recipe.levels,
                            &mut canonical,
                            &mut same,
                        ));
                    }
                }
            }
        }
        // A text that masks to nothing teaches nothing.
        examples.retain(|example| !example.text.trim().is_empty());
        examples
    }

    /// Examples of software that no epoch shows, the same at every call.
    #[must_use]
    pub fn validation(&self) -> &[Example] {
        &self.validation
    }

    /// The messages of that software which people read, to calibrate on; templates are not among them.
    #[must_use]
    pub fn judged(&self) -> &[JudgedText] {
        &self.judged
    }

    /// The masked texts of all templates and labelled lines with their risks: what the model can show as known. The
    /// messages of other people's source code are not among them.
    #[must_use]
    pub fn patterns(&self) -> &[(String, Risk)] {
        &self.patterns
    }

    /// The families of software that are kept aside, sorted.
    #[must_use]
    pub fn held_out(&self) -> &[String] {
        &self.held_out
    }

    /// How much there is.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            weak_pairs: self.weak_pairs.len(),
            read_labels: self.read_labels.len(),
            templates: self.templates.len(),
            labelled: self.labelled.len(),
            validation: self.validation.len(),
            conflicts: self.conflicts,
        }
    }

    fn draw(&self, seed: u64) -> Vec<Draw> {
        let Mix { weak_pairs, read_labels, templates, labelled } = self.recipe.mix;
        let shares = [
            if self.weak_pairs.is_empty() { 0.0 } else { weak_pairs },
            if self.read_labels.is_empty() { 0.0 } else { read_labels },
            if self.units.is_empty() { 0.0 } else { templates },
            if self.labelled.is_empty() { 0.0 } else { labelled },
        ];
        let total: f64 = shares.iter().sum();
        let count = |share: f64| {
            if total > 0.0 { (self.recipe.epoch_examples as f64 * share / total).round() as usize } else { 0 }
        };
        let mut random = Random::new(seed);
        let weak = balanced(self.weak_pairs.iter().map(|pair| pair.source.as_str()));
        // Every unit counts the same, however many its program has: nearly half of the programs have a single one, and
        // the square root would show these thirty times as often as a line of the kernel. A pair is two examples.
        let per_unit = self.templates.len() as f64 / self.units.len().max(1) as f64;
        let units = vec![1.0; self.units.len()];
        let unit_draws = count(shares[2] / per_unit);
        let labelled_weights: Vec<f64> =
            self.labelled.iter().map(|row| f64::from(row.weight).sqrt()).collect();

        let mut draws = Vec::with_capacity(self.recipe.epoch_examples);
        draws.extend(draw(&weak, count(shares[0]), &mut random).into_iter().map(Draw::Weak));
        let uniform = vec![1.0; self.read_labels.len()];
        draws.extend(draw(&uniform, count(shares[1]), &mut random).into_iter().map(Draw::Read));
        draws.extend(
            draw(&units, unit_draws, &mut random).into_iter().map(|unit| Draw::Template(self.units[unit])),
        );
        draws.extend(draw(&labelled_weights, count(shares[3]), &mut random).into_iter().map(Draw::Labelled));
        draws
    }

    fn weak(&self, index: usize, canonical: &mut Canonical, random: &mut Random) -> Example {
        let pair = &self.weak_pairs[index];
        let class = usize::from(pair.y);
        let target = self.refiner.target(&pair.text, class, &pair.source);
        let mut message = String::with_capacity(pair.text.len() + 32);
        fill_marks_into(&pair.text, random, &mut message);
        let draft = Draft {
            message,
            level: Some(levels::of_class(class)),
            may_declare: false,
            risk: Risk::nearest(target::mean(&target)),
            tag: None,
            software: &pair.source,
            framed: false,
            may_cut: true,
        };
        let mut text = String::new();
        augment::render(draft, self.recipe.levels, canonical, random, &mut text);
        Example { text, target, tag: None, weight: 1.0 }
    }

    fn labelled(&self, index: usize, canonical: &mut Canonical, random: &mut Random) -> Example {
        let row = &self.labelled[index];
        let mut text = String::with_capacity(row.text.len());
        canonical.append(&row.text, !random.chance(self.recipe.levels.absent), &mut text);
        // The other half of a row's weight went into how often it is drawn.
        Example { text, target: target::labelled(row.risk), tag: row.tag, weight: row.weight.sqrt() }
    }

    fn unit(&self, index: usize) -> &[Template] {
        let pair = [index, index + 1].iter().all(|&member| {
            self.templates.get(member).is_some_and(|template| template.kind == Kind::StatePair)
        });
        &self.templates[index..index + if pair { 2 } else { 1 }]
    }
}

impl ExampleSource for Dataset {
    fn epoch(&mut self, epoch: usize, seed: u64) -> Vec<Example> {
        self.draw_epoch(epoch, seed)
    }
}

/// An example of a read label; without a tag, since its readers gave none.
fn read_example(
    label: &ReadLabel,
    levels: LevelMix,
    canonical: &mut Canonical,
    random: &mut Random,
) -> Example {
    let mut message = String::with_capacity(label.text.len() + 32);
    fill_marks_into(&label.text, random, &mut message);
    let draft = Draft {
        message,
        level: label.level,
        may_declare: false,
        risk: label.risk,
        tag: None,
        software: &label.software,
        framed: false,
        may_cut: false,
    };
    let mut text = String::new();
    augment::render(draft, levels, canonical, random, &mut text);
    Example { text, target: target::read(label.risk, label.or), tag: Some(read_tag(label)), weight: 1.0 }
}

/// Tags follow risk where nobody gave one; read labels hold no stack traces.
fn read_tag(label: &ReadLabel) -> Tag {
    match label.risk.get() {
        0 | 1 => Tag::Debug,
        2 | 3 => Tag::Info,
        4 | 5 => Tag::Warn,
        _ => Tag::Error,
    }
}

fn template_example(
    template: &Template,
    levels: LevelMix,
    canonical: &mut Canonical,
    random: &mut Random,
) -> Example {
    let mut text = String::new();
    let draft = template_draft(template, random);
    let tag = augment::render(draft, levels, canonical, random, &mut text);
    Example { text, target: target::authored(template.risk, template.low, template.high), tag, weight: 1.0 }
}

fn template_draft<'a>(template: &'a Template, random: &mut Random) -> Draft<'a> {
    let mut message = String::with_capacity(template.text.len() + 64);
    template.fill_into(random, &mut message);
    let trap = matches!(template.kind, Kind::TrapQuiet | Kind::TrapLoud | Kind::MinimalPair);
    Draft {
        message,
        level: template.level,
        may_declare: !trap,
        risk: template.risk,
        tag: Some(template.tag),
        software: &template.software,
        framed: template.is_framed() || template.kind == Kind::Fragment,
        may_cut: false,
    }
}

/// Appends one raw line of a template, in that format or any, and returns its tag.
pub(crate) fn write_line(
    template: &Template,
    levels: LevelMix,
    time: jiff::Timestamp,
    format: Option<Format>,
    random: &mut Random,
    out: &mut String,
) -> Tag {
    let draft = template_draft(template, random);
    augment::write(draft, levels, time, format, random, out).unwrap_or(template.tag)
}

/// Lines with known risks, the same at every call: every eighth unit of the built-in catalogues, filled, in some real format,
/// masked in that style. Empty if the catalogues are broken, which a test rules out.
#[must_use]
pub fn base_lines(style: MaskStyle) -> Vec<(String, Risk)> {
    let templates = template::embedded().unwrap_or_default();
    let levels = LevelMix { present: 0.7, absent: 0.3, lying: 0.0 };
    let time = jiff::Timestamp::UNIX_EPOCH;
    let mut canonical = Canonical::new();
    let mut lines = Vec::new();
    let mut raw = String::new();
    for begin in units(&templates).into_iter().step_by(8) {
        let Some(template) = templates.get(begin) else { continue };
        raw.clear();
        write_line(template, levels, time, None, &mut Random::part(0xba5e, begin as u64), &mut raw);
        let text = canonical.styled(&raw, style);
        if !text.trim().is_empty() {
            lines.push((text, template.risk));
        }
    }
    lines
}

/// 1/√n for each member of a group of n, so that the group as a whole counts √n.
fn balanced<'a>(groups: impl Iterator<Item = &'a str> + Clone) -> Vec<f64> {
    let mut sizes: HashMap<&str, f64> = HashMap::default();
    groups.clone().for_each(|group| *sizes.entry(group).or_default() += 1.0);
    groups.map(|group| sizes[group].sqrt().recip()).collect()
}

/// Where each unit of templates begins.
fn units(templates: &[Template]) -> Vec<usize> {
    let mut units = Vec::with_capacity(templates.len());
    let mut index = 0;
    while index < templates.len() {
        units.push(index);
        let twin = templates.get(index + 1).is_some_and(|next| next.kind == Kind::StatePair);
        index += if templates[index].kind == Kind::StatePair && twin { 2 } else { 1 };
    }
    units
}

#[cfg(test)]
mod tests;
