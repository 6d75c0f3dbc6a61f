//! What stood where a pattern has a mask class: the values that its kept lines had there.

use super::text::{Shown, shown};

/// The values at one place of a pattern.
pub(crate) struct Values {
    /// The class, as `<num>`.
    pub(crate) class: String,
    /// Each value with its share in percent, the most frequent first.
    pub(crate) values: Vec<(Shown, usize)>,
}

/// Values listed of a place, and places listed.
const LISTED: usize = 4;
const PLACES: usize = 12;
/// Bytes that a value may be long.
const LONGEST: usize = 120;

/// The values at each place, as far as lines can be laid along the pattern. Masks do more than replace (they drop
/// times and bring levels to one spelling), so that a line that does not fit is passed over.
pub(crate) fn values<'a>(masked: &str, lines: impl Iterator<Item = &'a str>) -> Vec<Values> {
    let (texts, classes) = parts(masked);
    let mut found: Vec<Vec<(String, usize)>> = vec![Vec::new(); classes.len()];
    for line in lines {
        for (place, value) in along(&texts, line).unwrap_or_default().into_iter().enumerate() {
            let Some(counts) = found.get_mut(place) else { continue };
            match counts.iter_mut().find(|(known, _)| *known == value) {
                Some((_, count)) => *count += 1,
                None => counts.push((value, 1)),
            }
        }
    }
    let places = classes.into_iter().zip(found).filter(|(_, counts)| !counts.is_empty());
    places
        .take(PLACES)
        .map(|(class, mut counts)| {
            let all: usize = counts.iter().map(|(_, count)| count).sum();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let listed = counts.into_iter().take(LISTED);
            let values = listed.map(|(value, count)| (shown(&value), 100 * count / all.max(1))).collect();
            Values { class, values }
        })
        .collect()
}

/// The texts around the classes, one more than there are classes.
fn parts(masked: &str) -> (Vec<&str>, Vec<String>) {
    let (mut texts, mut classes) = (Vec::new(), Vec::new());
    let (mut begin, mut from) = (0, 0);
    while let Some(open) = masked.get(from..).and_then(|rest| rest.find('<')).map(|place| from + place) {
        let rest = masked.get(open..).unwrap_or_default();
        let class = rest.split_inclusive('>').next().unwrap_or_default();
        let name = class.strip_prefix('<').and_then(|class| class.strip_suffix('>'));
        from = open + 1;
        if name.is_some_and(|name| !name.is_empty() && name.len() < 32 && !name.contains([' ', '<'])) {
            texts.push(masked.get(begin..open).unwrap_or_default());
            classes.push(class.to_owned());
            begin = open + class.len();
            from = begin;
        }
    }
    texts.push(masked.get(begin..).unwrap_or_default());
    (texts, classes)
}

/// What stands between the texts in a line; `None` if the texts are not all there, one after the other.
fn along(texts: &[&str], line: &str) -> Option<Vec<String>> {
    let (first, others) = texts.split_first()?;
    // The pattern begins with a level that the line may have elsewhere: only the last words before the first class count.
    let anchor = first.rsplit([' ', ':']).next().unwrap_or_default();
    let mut rest = if anchor.is_empty() {
        let words = first.trim_end().rsplit(' ').next().unwrap_or_default();
        line.get(line.find(words)? + words.len()..)?.trim_start()
    } else {
        line.get(line.find(anchor)? + anchor.len()..)?
    };
    let mut values = Vec::with_capacity(others.len());
    for (place, text) in others.iter().enumerate() {
        let end = match text.trim_end() {
            "" if place + 1 == others.len() => rest.len(),
            "" => rest.find(' ').unwrap_or(rest.len()),
            text => rest.find(text)?,
        };
        let value = rest.get(..end)?;
        if value.is_empty() || value.len() > LONGEST {
            return None;
        }
        values.push(value.to_owned());
        rest = rest.get(end + text.trim_end().len()..)?.trim_start_matches(' ');
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_along_the_pattern() {
        let masked = "error EXT4-fs error (device sda<num>): inode #<num>: reading";
        let lines = [
            "EXT4-fs error (device sda1): inode #2: reading",
            "EXT4-fs error (device sda1): inode #131074: reading",
            "something else",
        ];
        let found = values(masked, lines.into_iter());
        let told: Vec<_> = found
            .iter()
            .map(|place| {
                place.values.iter().map(|(value, share)| format!("{value} {share}")).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(told, [vec!["1 100"], vec!["2 50", "131074 50"]]);
    }

    #[test]
    fn odd_patterns_give_nothing_rather_than_nonsense() {
        for masked in ["", "<", "<>", "a < b > c", "<num>", "<num><num>", "é<num>é"] {
            _ = values(masked, ["", "1", "é1é", "<num>"].into_iter());
        }
    }
}
