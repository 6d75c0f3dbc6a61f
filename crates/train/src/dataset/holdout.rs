//! What is kept aside to judge a model: whole families of software, never single lines.
//!
//! Lines of one program resemble each other so much that a model which saw half of them knows the other half; only
//! software that it has never seen tells how it will do at a new site.

use foldhash::HashMap;

use super::{
    LevelMix,
    canonical::Canonical,
    material::Aside,
    random::Random,
    read_example,
    sources::ReadLabel,
    template::{Kind, Template, fill_marks_into},
    template_example,
    truth::Truth,
};
use crate::{calibrate::JudgedText, example::Example};

/// A family larger than this share of its source is too dear to lose.
const LARGEST: f64 = 0.04;

/// The family of a program's name: its daemons, editions and spellings are one.
#[must_use]
pub(super) fn family(software: &str) -> String {
    let lower = software.to_lowercase();
    let families: [(&str, &[&str]); 14] = [
        (
            "kubernetes",
            &["kube", "k8s", "client-go", "apiserver", "autoscaler", "cadvisor", "cluster-api", "minikube"],
        ),
        ("linux", &["linux", "kernel", "systemd", "journald", "udev"]),
        ("postgres", &["postgres", "pgbouncer", "patroni", "cloudnative-pg", "pgpool"]),
        ("mysql", &["mysql", "mariadb", "innodb", "galera", "percona"]),
        ("mongodb", &["mongo"]),
        ("nginx", &["nginx", "ingress-nginx"]),
        ("java", &["java", "jvm", "spring", "hibernate", "tomcat", "log4j", "hikari"]),
        ("python", &["python", "django", "flask", "celery", "gunicorn", "uvicorn"]),
        ("node", &["nodejs", "node.js", "express", "npm"]),
        ("redis", &["redis", "valkey", "sentinel"]),
        ("ceph", &["ceph", "rook"]),
        ("containers", &["docker", "moby", "containerd", "cri-o", "runc", "podman", "buildkit"]),
        ("windows", &["windows", "mssql", "iis", "active-directory"]),
        ("elasticsearch", &["elastic", "opensearch", "logstash", "filebeat", "kibana"]),
    ];
    families
        .iter()
        .find(|(_, prefixes)| prefixes.iter().any(|prefix| lower.starts_with(prefix)))
        .map_or(lower, |(name, _)| (*name).to_owned())
}

/// Families that make up that share of the read labels, and more that make it up of the templates; sorted.
pub(super) fn choose(labels: &[ReadLabel], templates: &[Template], share: f64, seed: u64) -> Vec<String> {
    let mut random = Random::part(seed, 0x0401_d0a7);
    let read: Vec<String> = labels.iter().map(|label| family(&label.software)).collect();
    let authored: Vec<String> = templates.iter().map(|template| family(&template.software)).collect();
    let mut chosen = Vec::new();
    add_families(&mut chosen, &read, &[], share, &mut random);
    // Names that both know would take more and more of the labels: catalogues name hundreds of programs.
    add_families(&mut chosen, &authored, &read, share, &mut random);
    chosen.sort_unstable();
    chosen
}

/// Chooses until what is chosen makes up that share of `names`, none of them in `spared`.
fn add_families(
    chosen: &mut Vec<String>,
    names: &[String],
    spared: &[String],
    share: f64,
    random: &mut Random,
) {
    let mut sizes: HashMap<&str, usize> = HashMap::default();
    names.iter().for_each(|name| *sizes.entry(name).or_default() += 1);
    let wanted = (names.len() as f64 * share) as usize;
    let mut have: usize = chosen.iter().filter_map(|name| sizes.remove(name.as_str())).sum();
    for name in spared {
        sizes.remove(name.as_str());
    }
    sizes.retain(|_, size| *size as f64 <= names.len() as f64 * LARGEST);
    let mut families: Vec<(&str, usize)> = sizes.into_iter().collect();
    families.sort_unstable();
    random.shuffle(&mut families);
    for (family, size) in families {
        if have >= wanted {
            break;
        }
        chosen.push(family.to_owned());
        have += size;
    }
}

/// How each kept message is shown: with its level, and without one.
const VIEWS: [LevelMix; 2] =
    [LevelMix { present: 1.0, absent: 0.0, lying: 0.0 }, LevelMix { present: 0.0, absent: 1.0, lying: 0.0 }];

/// What decides how one message is shown in one of its views.
fn stream(seed: u64, index: usize, view: usize) -> Random {
    Random::part(seed ^ 0x7a11_da7e, (index * VIEWS.len() + view) as u64)
}

/// The kept messages that people read, in every view, to calibrate on.
pub(super) fn judged(labels: &[ReadLabel], seed: u64) -> Vec<JudgedText> {
    let mut canonical = Canonical::new();
    let mut judged = Vec::with_capacity(VIEWS.len() * labels.len());
    for (index, label) in labels.iter().enumerate() {
        for (view, levels) in VIEWS.into_iter().enumerate() {
            let text = read_example(label, levels, &mut canonical, &mut stream(seed, index, view)).text;
            judged.push(JudgedText { text, risk: label.risk, family: family(&label.software) });
        }
    }
    judged.retain(|judged| !judged.text.trim().is_empty());
    judged
}

/// Each kept message twice: in some format with its level, and without one.
pub(super) fn examples(labels: &[ReadLabel], templates: &[Template], seed: u64) -> Vec<Example> {
    let mut canonical = Canonical::new();
    let mut examples = Vec::with_capacity(VIEWS.len() * (labels.len() + templates.len()));
    for (view, levels) in VIEWS.into_iter().enumerate() {
        let stream = |index: usize| stream(seed, index, view);
        for (index, label) in labels.iter().enumerate() {
            examples.push(read_example(label, levels, &mut canonical, &mut stream(index)));
        }
        for (index, template) in templates.iter().enumerate() {
            // Members of a pair share their values here too.
            let unit = if template.kind == Kind::StatePair { index / 2 * 2 } else { index };
            examples.push(template_example(
                template,
                levels,
                &mut canonical,
                &mut stream(labels.len() + unit),
            ));
        }
    }
    examples.retain(|example| !example.text.trim().is_empty());
    examples
}

/// The kept messages and templates as lines to evaluate on: each message without a level and with its own, each template
/// as authored. The kind of a line is `message` or `template`.
pub(super) fn truths(aside: &Aside, seed: u64) -> Vec<Truth> {
    let mut truths = Vec::with_capacity(2 * aside.read_labels.len() + aside.templates.len());
    for (index, label) in aside.read_labels.iter().enumerate() {
        let mut message = String::with_capacity(label.text.len() + 32);
        fill_marks_into(&label.text, &mut stream(seed, index, 0), &mut message);
        let range = label.or.map(|or| (label.risk.min(or), label.risk.max(or)));
        let shown = label.level.map(|level| format!("{} {message}", level.as_str().to_uppercase()));
        truths.extend([Some(message), shown].into_iter().flatten().map(|text| Truth {
            text,
            risk: Some(label.risk),
            range,
            software: Some(label.software.clone()),
            kind: Some("message".to_owned()),
            ..Truth::default()
        }));
    }
    let mut safer = None;
    for (index, template) in aside.templates.iter().enumerate() {
        // Members of a pair share their values; the safer one comes first.
        let is_second = safer.is_some();
        let unit = if is_second { index - 1 } else { index };
        let mut text = String::with_capacity(template.text.len() + 64);
        template.fill_into(&mut stream(seed, aside.read_labels.len() + unit, 0), &mut text);
        let twin = safer.take().filter(|&place: &usize| truths[place].risk < Some(template.risk));
        safer = (template.kind == Kind::StatePair && !is_second).then_some(truths.len());
        truths.push(Truth {
            text,
            risk: Some(template.risk),
            range: Some((template.low, template.high)),
            safer_twin: twin,
            software: Some(template.software.clone()),
            kind: Some("template".to_owned()),
            ..Truth::default()
        });
    }
    truths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_one_family() {
        for (one, other) in [
            ("postgresql", "pgbouncer"),
            ("mysqld", "mariadb"),
            ("kernel", "linux-ext4"),
            ("K8s-events", "kubelet"),
        ] {
            assert_eq!(family(one), family(other));
        }
        assert_ne!(family("kafka"), family("zookeeper"));
    }

    #[test]
    fn what_templates_keep_aside_costs_no_read_label() {
        let names = |groups: &[(&str, usize)]| -> Vec<String> {
            groups.iter().flat_map(|(name, count)| vec![(*name).to_owned(); *count]).collect()
        };
        let read: Vec<(String, usize)> = (0..100).map(|n| (format!("read{n}"), 10)).collect();
        let read: Vec<(&str, usize)> = read.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let read = names(&read);
        let authored = [names(&[("own1", 3), ("own2", 3), ("own3", 3)]), read.clone()].concat();
        let mut random = Random::new(1);
        let mut chosen = Vec::new();
        add_families(&mut chosen, &read, &[], 0.1, &mut random);
        assert_eq!(chosen.len(), 10);
        add_families(&mut chosen, &authored, &read, 0.2, &mut random);
        assert!(chosen[10..].iter().all(|family| family.starts_with("own")), "{chosen:?}");
    }
}
