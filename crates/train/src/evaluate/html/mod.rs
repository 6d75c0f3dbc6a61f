//! A report as one page that needs nothing else: no script, no font, no image, no request.
//!
//! Written with `write!`, not from a template: the page is a handful of loops over the reports, and what must never go
//! wrong in it, strangers' text, passes through one function.

mod escape;
mod plot;

use std::fmt::Write as _;

use super::{
    Interval, Report,
    figures::FIGURES,
    table::{GROUP_FIGURES, counts, excludes_zero},
};
use escape::escaped;

/// The page of several reports on the same lines; `source` names these.
#[must_use]
pub fn render(reports: &[Report], source: &str) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let Some(first) = reports.first() else { return out };
    let (name, source) = (escaped(&first.name), escaped(source));
    _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{name} on {source}</title>\n<style>\n{}</style>\n<main>\n<h1>{name} on {source}</h1>\n\
         <p>{}. Each figure comes with the interval that holds 95 % of its values on lines drawn anew.</p>\n",
        include_str!("page.css"),
        counts(first)
    );
    plots(&mut out, first);
    figures(&mut out, reports);
    groups(&mut out, first);
    misses(&mut out, first);
    out.push_str("</main>\n</html>\n");
    out
}

fn plots(out: &mut String, report: &Report) {
    if report.lines == 0 {
        return;
    }
    out.push_str("<div class=\"plots\">\n");
    figure(
        out,
        "Scores by what lines are. Bars hold half of the lines, strokes 90 %; dashes are the truth.",
        |out| {
            plot::spreads(&report.spreads, out);
        },
    );
    figure(out, "What lines are (rows) and what was answered (columns).", |out| {
        plot::confusion(&report.confusion, out);
    });
    for reliability in &report.reliability {
        let caption = format!(
            "Reliability: how often a line is {} or more, against the probability that was said. On the dashes, both are equal.",
            reliability.risk
        );
        figure(out, &caption, |out| plot::reliability(reliability, out));
    }
    out.push_str("</div>\n");
}

fn figure(out: &mut String, caption: &str, draw: impl FnOnce(&mut String)) {
    out.push_str("<figure>");
    draw(out);
    _ = writeln!(out, "<figcaption>{caption}</figcaption></figure>");
}

fn figures(out: &mut String, reports: &[Report]) {
    out.push_str("<h2>Figures</h2>\n");
    let names: Vec<String> = reports.iter().map(|report| escaped(&report.name)).collect();
    if let [first, _, ..] = names.as_slice() {
        _ = writeln!(
            out,
            "<p>Under each baseline: {first} minus it, on the same draws; strong where chance does not explain it.</p>"
        );
    }
    out.push_str("<table><thead><tr><th scope=\"col\">figure</th>");
    names.iter().for_each(|name| _ = write!(out, "<th scope=\"col\">{name}</th>"));
    out.push_str("</tr></thead>\n<tbody>\n");
    for (key, _) in FIGURES {
        let found: Vec<Interval> =
            reports.iter().filter_map(|report| Some(report.figure(key)?.interval)).collect();
        if found.is_empty() {
            continue;
        }
        // Shares fill an axis from 0 to 1; errors get one that holds them all, and 0.
        let axis = found
            .iter()
            .fold((0.0f64, 1.0f64), |(low, high), interval| (low.min(interval.low), high.max(interval.high)));
        _ = write!(out, "<tr><th scope=\"row\">{}</th>", key.replace('_', " "));
        for (place, (report, name)) in reports.iter().zip(&names).enumerate() {
            _ = write!(out, "<td data-name=\"{name}\">");
            match report.figure(key) {
                None => out.push('–'),
                Some(figure) => {
                    let Interval { value, low, high } = figure.interval;
                    let class = if place == 0 { " class=\"first\"" } else { "" };
                    _ = write!(out, "<span{class}>{value:.3}</span>");
                    plot::interval(figure.interval, axis, out);
                    _ = write!(out, "<small>{low:.3} to {high:.3}</small>");
                    if let Some(lead) = figure.lead {
                        let class = if excludes_zero(lead) { " class=\"sure\"" } else { "" };
                        _ = write!(
                            out,
                            "<small{class}>{:+.3} ({:+.3} to {:+.3})</small>",
                            lead.value, lead.low, lead.high
                        );
                    }
                }
            }
            out.push_str("</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

fn groups(out: &mut String, report: &Report) {
    let shown: Vec<&str> = GROUP_FIGURES
        .iter()
        .copied()
        .filter(|key| report.groups.iter().any(|group| group.figure(key).is_some()))
        .collect();
    for groups in report.groups.chunk_by(|one, other| one.by == other.by) {
        let Some(by) = groups.first().map(|group| group.by) else { continue };
        _ = write!(
            out,
            "<h2>By {by}</h2>\n<table class=\"groups\"><thead><tr><th scope=\"col\">{by}</th><th scope=\"col\">lines</th>"
        );
        shown.iter().for_each(|key| _ = write!(out, "<th scope=\"col\">{}</th>", key.replace('_', " ")));
        out.push_str("</tr></thead>\n<tbody>\n");
        for group in groups {
            _ = write!(
                out,
                "<tr><th scope=\"row\">{}</th><td data-name=\"lines\">{}</td>",
                escaped(&group.name),
                group.lines
            );
            for key in &shown {
                _ = write!(out, "<td data-name=\"{}\">", key.replace('_', " "));
                match group.figure(key).map(|figure| figure.interval) {
                    None => out.push('–'),
                    Some(Interval { value, low, high }) => {
                        _ = write!(out, "{value:.3}<small>{low:.2} to {high:.2}</small>");
                    }
                }
                out.push_str("</td>");
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table>\n");
    }
}

fn misses(out: &mut String, report: &Report) {
    if report.misses.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Furthest from the truth</h2>\n<p>What the line is, and the score that it got.</p>\n<ol>\n",
    );
    for miss in &report.misses {
        _ = write!(
            out,
            "<li><span><span class=\"first\">{}</span> got {:.1}</span><span><code>",
            miss.truth, miss.score
        );
        escape::push(&miss.text, out);
        out.push_str("</code><small>");
        if let Some(software) = &miss.software {
            escape::push(software, out);
            out.push_str(", ");
        }
        _ = writeln!(out, "line {}</small></span></li>", miss.line);
    }
    out.push_str("</ol>\n");
}

#[cfg(test)]
mod tests {
    use logrisk_base::Risk;

    use super::{
        super::{Answer, Bootstrap, By, Judge, Options, compare},
        *,
    };
    use crate::dataset::Truth;

    fn page(text: &str, name: &str) -> String {
        let truths: Vec<Truth> = (0..=10)
            .map(|risk| Truth {
                text: text.to_owned(),
                risk: Risk::new(risk).ok(),
                software: Some(text.to_owned()),
                ..Truth::default()
            })
            .collect();
        let judge = |name: &str, label: Risk| Judge {
            name: name.to_owned(),
            answers: vec![Answer::of_probabilities(&[1.0 / 11.0; 11], label); 11],
        };
        let options =
            Options { bootstrap: Bootstrap { rounds: 20, seed: 1 }, by: By::ALL.to_vec(), smallest_group: 1 };
        render(&compare(&truths, &[judge(name, Risk::MIN), judge("other", Risk::MAX)], &options), name)
    }

    #[test]
    fn hostile_lines_and_names_add_no_element() {
        let kinds = |page: &str| -> std::collections::BTreeSet<String> {
            let tags = page.split('<').skip(1);
            tags.map(|tag| tag.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned())
                .collect()
        };
        let hostile = "</code></style><script>alert(1)</script><img src=x onerror=alert(1)>\" onload=\"x";
        let (plain, attacked) = (page("a", "model"), page(hostile, hostile));
        assert_eq!(kinds(&plain), kinds(&attacked));
        assert!(!attacked.contains("<script") && !attacked.contains("\" onload"));
    }

    #[test]
    fn the_page_stands_alone() {
        let page = page("connection refused", "model");
        for outside in ["http:", "https:", "url(", "@import", "src=", "href=", "<script", "NaN", "inf\""] {
            assert!(!page.contains(outside), "{outside}");
        }
        for part in ["prefers-color-scheme: dark", "Reliability", "By software", "Furthest from the truth"] {
            assert!(page.contains(part), "{part}");
        }
    }
}
