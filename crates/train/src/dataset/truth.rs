//! Lines to evaluate on: what each really is, as far as somebody said.
//!
//! | meaning | accepted column names |
//! |---|---|
//! | the line | `text`, `log`, `message` |
//! | its risk, 0 to 10 | `label`, `risk`, `risk_label` |
//! | the risks that a careful reader may give | `lo` and `hi`, or `or`: the other plausible value |
//! | for traps: is it risky at all? | `risky` |
//! | the level that a developer chose, 0 debug to 4 fatal | `y` |
//! | two lines of the same `pair`: the one with the higher risk must score higher | `pair` |
//! | what prints it | `software`, `system`, `source` |
//! | the language of its words | `language` |
//! | what it is good for | `kind` |
//!
//! A row needs the line and one of risk, `risky` and `y`. The files that a recipe trains on have this shape too. Their
//! texts are no lines yet, so they are filled in as training fills them, the same way at every reading: placeholders where
//! a row has `lo`, `hi` and `kind` (authored templates; consecutive rows of kind `state_pair` are a pair), `#` and `<*>`
//! where it has `licence` (messages from source code). Of a recipe (`.yaml`) it is what the recipe keeps aside: programs that
//! no model trained by it has seen.

use std::{collections::BTreeMap, path::Path};

use logrisk_base::{Level, Risk, Tag};

use super::{
    error::DatasetError,
    holdout,
    labelled::{LABEL, Row, TEXT, for_each_row, shorten},
    material::Material,
    random::Random,
    recipe::Recipe,
    template::{Kind, Template, fill_marks_into},
};

/// What a line really is, to judge an answer by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Truth {
    /// The line.
    pub text: String,
    /// Its risk, where somebody gave one.
    pub risk: Option<Risk>,
    /// The lowest and the highest risk that a careful reader may give, where somebody said so.
    pub range: Option<(Risk, Risk)>,
    /// For lines that set a trap: is it risky at all?
    pub risky: Option<bool>,
    /// For messages from source code: did the developer call it an error or worse?
    pub error: Option<bool>,
    /// For the riskier line of a pair: where the safer one stands among the truths.
    pub safer_twin: Option<usize>,
    /// What prints it, where known.
    pub software: Option<String>,
    /// The language of its words, where known.
    pub language: Option<String>,
    /// What it is good for, such as `state_pair`; of a recipe `message` or `template`.
    pub kind: Option<String>,
    /// The line of the file where it begins, from 1; 0 of a recipe.
    pub line: u64,
}

/// The draws that fill templates and marks: lines of a file are the same at every reading.
const FILLING: u64 = 0x0f11_1ed0;

/// Reads lines to evaluate on: every row of a file, or what a recipe keeps aside.
///
/// # Errors
/// [`DatasetError`] with line, column and remedy.
pub fn read(path: &Path) -> Result<Vec<Truth>, DatasetError> {
    if is_recipe(path) { read_aside(path) } else { read_rows(path) }
}

/// Whether that is a recipe, by its name.
pub(crate) fn is_recipe(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn read_aside(path: &Path) -> Result<Vec<Truth>, DatasetError> {
    let recipe = Recipe::read(path)?;
    let aside = Material::read(&recipe)?.set_aside(recipe.held_out, recipe.seed);
    let truths = holdout::truths(&aside, recipe.seed);
    if truths.is_empty() { Err(DatasetError::Empty { path: path.to_owned() }) } else { Ok(truths) }
}

fn read_rows(path: &Path) -> Result<Vec<Truth>, DatasetError> {
    let mut truths = Vec::new();
    let mut pairs = Pairs::default();
    for_each_row(path, |row| {
        let (text, _) = row.require(TEXT, "text, log or message")?;
        let risk = given_risk(row, LABEL)?;
        let (risky, error) = (row.flag("risky")?, error_or_worse(row)?);
        if risk.is_none() && risky.is_none() && error.is_none() {
            return Err(row.missing("label, risk, risk_label, risky or y"));
        }
        let range = range(row, risk)?;
        let is_template = row.optional("kind").is_some() && row.optional("lo").is_some();
        let is_state_pair = is_template && row.optional("kind").as_deref() == Some("state_pair");
        let first = pairs.push(row, truths.len(), is_state_pair, risk)?;
        // Members of a pair are filled alike: only their words differ.
        let mut random = Random::part(FILLING, first.unwrap_or(truths.len()) as u64);
        let text = match risk {
            Some(risk) if is_template => fill_template(&text, risk, &mut random),
            _ if row.optional("licence").is_some() => {
                let mut filled = String::with_capacity(text.len() + 32);
                fill_marks_into(&text, &mut random, &mut filled);
                filled
            }
            _ => text.into_owned(),
        };
        truths.push(Truth {
            text,
            risk,
            range,
            risky,
            error,
            safer_twin: None,
            software: ["software", "system", "source"].iter().find_map(|name| row.optional(name)),
            language: row.optional("language").map(|name| name.to_lowercase()),
            kind: row.optional("kind"),
            line: row.line,
        });
        Ok(())
    })?;
    if truths.is_empty() {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    pairs.join(&mut truths, path)?;
    Ok(truths)
}

/// A risk in one of those columns; an empty field gives none, since a row may be a trap alone.
fn given_risk(row: &Row<'_>, names: &[&'static str]) -> Result<Option<Risk>, DatasetError> {
    let given = names.iter().find_map(|name| Some((row.optional(name)?, *name)));
    given.map(|(value, name)| row.risk_in(&value, name)).transpose()
}

fn error_or_worse(row: &Row<'_>) -> Result<Option<bool>, DatasetError> {
    let Some(value) = row.optional("y") else { return Ok(None) };
    match value.trim().parse::<u8>() {
        Ok(class @ 0..=4) => Ok(Some(class >= 3)),
        _ => {
            let problem = "is no level; use 0 debug, 1 info, 2 warn, 3 error or 4 fatal";
            Err(row.wrong("y", &format!("{:?} {problem}", shorten(&value))))
        }
    }
}

fn range(row: &Row<'_>, risk: Option<Risk>) -> Result<Option<(Risk, Risk)>, DatasetError> {
    let Some(risk) = risk else { return Ok(None) };
    let range = match (given_risk(row, &["lo"])?, given_risk(row, &["hi"])?, given_risk(row, &["or"])?) {
        (None, None, None) => return Ok(None),
        (None, None, Some(or)) => (risk.min(or), risk.max(or)),
        (Some(low), Some(high), _) => (low, high),
        (None, ..) => return Err(row.missing("lo, which belongs to hi")),
        (_, None, _) => return Err(row.missing("hi, which belongs to lo")),
    };
    if !(range.0..=range.1).contains(&risk) {
        let problem = format!("the risk {risk} is not within {}..{}; correct one of them", range.0, range.1);
        return Err(row.wrong("lo", &problem));
    }
    Ok(Some(range))
}

fn fill_template(text: &str, risk: Risk, random: &mut Random) -> String {
    let template = Template {
        text: text.to_owned(),
        software: String::new(),
        level: None::<Level>,
        risk,
        low: risk,
        high: risk,
        tag: Tag::Info,
        kind: Kind::Routine,
    };
    let mut filled = String::with_capacity(text.len() + 64);
    template.fill_into(random, &mut filled);
    filled
}

/// Finds the members of pairs.
#[derive(Default)]
struct Pairs {
    /// The rows of each identifier; sorted, so that of several mistakes the same one is named at every reading.
    named: BTreeMap<String, Vec<usize>>,
    /// Safer and riskier rows of catalogues.
    consecutive: Vec<(usize, usize)>,
    /// A row of kind `state_pair` whose twin comes next.
    open: Option<usize>,
}

impl Pairs {
    /// Takes note of a row, and returns the first row of its pair.
    fn push(
        &mut self,
        row: &Row<'_>,
        index: usize,
        is_state_pair: bool,
        risk: Option<Risk>,
    ) -> Result<Option<usize>, DatasetError> {
        if let Some(name) = row.optional("pair") {
            if risk.is_none() {
                return Err(row.wrong("pair", "a line of a pair needs a risk; add it or empty the field"));
            }
            let members = self.named.entry(name).or_default();
            members.push(index);
            self.open = None;
            return Ok(members.first().copied());
        }
        if !is_state_pair {
            self.open = None;
            return Ok(None);
        }
        match self.open.take() {
            Some(first) => self.consecutive.push((first, index)),
            None => self.open = Some(index),
        }
        Ok(self.consecutive.last().filter(|(_, last)| *last == index).map(|(first, _)| *first))
    }

    /// Tells the riskier member of each pair where the safer one is.
    fn join(self, truths: &mut [Truth], path: &Path) -> Result<(), DatasetError> {
        let mut pairs = self.consecutive;
        for (name, members) in self.named {
            let wrong = |at: usize, problem: String| DatasetError::Value {
                path: path.to_owned(),
                line: truths.get(at).map_or(0, |truth| truth.line),
                column: "pair".into(),
                problem,
            };
            let name = shorten(&name);
            match *members.as_slice() {
                [one, other] => pairs.push((one, other)),
                [first, ..] => {
                    let count = members.len();
                    return Err(wrong(first, format!("{name:?} has {count} rows; a pair has two")));
                }
                [] => continue,
            }
        }
        for (one, other) in pairs {
            let risk = |index: usize| truths.get(index).and_then(|truth| truth.risk);
            let (safer, riskier) = if risk(one) <= risk(other) { (one, other) } else { (other, one) };
            if risk(one) == risk(other) {
                let lines = [one, other].map(|index| truths.get(index).map_or(0, |truth| truth.line));
                return Err(DatasetError::Value {
                    path: path.to_owned(),
                    line: lines[1],
                    column: "pair".into(),
                    problem: format!(
                        "has the same risk as its twin in line {}; one must be riskier",
                        lines[0]
                    ),
                });
            }
            if let Some(truth) = truths.get_mut(riskier) {
                truth.safer_twin = Some(safer);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn truths(content: &str) -> Vec<Truth> {
        read(file(content.as_bytes()).path()).unwrap()
    }

    fn error(content: &str) -> String {
        read(file(content.as_bytes()).path()).unwrap_err().to_string()
    }

    fn risk(value: u8) -> Risk {
        Risk::new(value).unwrap()
    }

    #[test]
    fn risks_traps_and_severities() {
        let json = truths(
            "{\"log\":\"a\",\"risk\":3}\n{\"log\":\"b\",\"risky\":true,\"system\":null}\n{\"text\":\"c\",\"y\":3}\n",
        );
        assert_eq!((json[0].risk, json[1].risky, json[2].error), (Some(risk(3)), Some(true), Some(true)));
        let csv = truths("\u{feff}text,risk,risky,system\n\"a, \"\"b\"\"\nc\",3,,Linux\nd,,false,\n");
        assert_eq!((csv[0].text.as_str(), csv[0].software.as_deref()), ("a, \"b\"\nc", Some("Linux")));
        assert_eq!((csv[1].risk, csv[1].risky, csv[1].line), (None, Some(false), 4));
    }

    #[test]
    fn ranges_come_as_two_ends_or_another_value() {
        let rows =
            truths("{\"text\":\"a\",\"risk\":3,\"lo\":2,\"hi\":4}\n{\"text\":\"b\",\"risk\":3,\"or\":2}\n");
        assert_eq!(rows[0].range, Some((risk(2), risk(4))));
        assert_eq!(rows[1].range, Some((risk(2), risk(3))));
    }

    #[test]
    fn pairs_by_name_and_by_place() {
        let named = truths("text,risk,pair\nup,2,link\nother,5,\ndown,7,link\n");
        assert_eq!(named.iter().map(|row| row.safer_twin).collect::<Vec<_>>(), [None, None, Some(0)]);
        let row = |text: &str, risk: u8| {
            format!("{{\"text\":\"{text}\",\"risk\":{risk},\"lo\":0,\"hi\":10,\"kind\":\"state_pair\"}}\n")
        };
        let placed = truths(&[row("{int} up", 2), row("{int} down", 7), row("a", 1), row("b", 2)].concat());
        assert_eq!(
            placed.iter().map(|row| row.safer_twin).collect::<Vec<_>>(),
            [None, Some(0), None, Some(2)]
        );
        let number = |index: usize| placed[index].text.split(' ').next().unwrap().parse::<u64>().unwrap();
        assert_eq!(number(0), number(1), "twins get the same values");
    }

    #[test]
    fn only_templates_and_messages_from_source_code_are_filled() {
        let line = "{\"text\":\"took # {int}\",\"risk\":3}\n";
        assert_eq!(truths(line)[0].text, "took # {int}");
        let message = "{\"text\":\"took #\",\"y\":1,\"licence\":\"MIT\"}\n";
        assert_eq!(truths(message), truths(message));
        assert!(!truths(message)[0].text.contains('#'));
    }

    #[test]
    fn mistakes_name_line_column_and_remedy() {
        let cases = [
            ("text,risk\na,11\n", "line 2, column risk: \"11\" is no risk"),
            ("text,risk,risky\na,,\n", "line 2: the row has none of label, risk, risk_label, risky or y"),
            ("text,y\na,5\n", "line 2, column y: \"5\" is no level"),
            ("text,risk,lo,hi\na,3,4,5\n", "column lo: the risk 3 is not within 4..5"),
            ("text,risk,lo\na,3,2\n", "none of hi, which belongs to lo"),
            ("text,risk,pair\na,3,x\nb,4,y\n", "has 1 rows; a pair has two"),
            (
                "text,risk,pair\na,3,x\nb,3,x\n",
                "line 3, column pair: has the same risk as its twin in line 2",
            ),
            ("text,risky,pair\na,true,x\n", "a line of a pair needs a risk"),
            ("text,severity\na,3\n", "has no column label, risk or risk_label"),
            ("", "holds no rows"),
            ("text,risk\n", "holds no rows"),
        ];
        for (content, expected) in cases {
            let message = error(content);
            assert!(message.contains(expected), "{message} lacks {expected}");
        }
        let long = "x".repeat(1_000_000);
        assert!(error(&format!("text,risk\na,{long}\n")).len() < 300);
        assert_eq!(truths(&format!("text,risk\n{long},1\n"))[0].text.len(), 1_000_000);
    }
}
