//! What is kept aside to judge a model: whole families of software, never single lines.
//!
//! Lines of one program resemble each other so much that a model which saw half of them knows the other half; only
//! software that it has never seen tells how it will do at a new site.

use foldhash::HashMap;

use super::{
    LevelMix,
    canonical::Canonical,
    random::Random,
    read_example,
    sources::ReadLabel,
    template::{Kind, Template},
    template_example,
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

/// Families that make up that share of the read labels, and of the templates; sorted.
pub(super) fn choose(labels: &[ReadLabel], templates: &[Template], share: f64, seed: u64) -> Vec<String> {
    let mut random = Random::part(seed, 0x0401_d0a7);
    let mut chosen = Vec::new();
    let sources = [
        labels.iter().map(|label| family(&label.software)).collect::<Vec<_>>(),
        templates.iter().map(|template| family(&template.software)).collect(),
    ];
    for source in sources {
        let mut sizes: HashMap<&str, usize> = HashMap::default();
        source.iter().for_each(|family| *sizes.entry(family).or_default() += 1);
        let mut families: Vec<(&str, usize)> = sizes.into_iter().collect();
        families.sort_unstable();
        random.shuffle(&mut families);
        let wanted = (source.len() as f64 * share) as usize;
        // What the other source chose already counts here too.
        let mut have: usize = source.iter().filter(|family| chosen.contains(*family)).count();
        for (family, size) in families {
            let dear = size as f64 > source.len() as f64 * LARGEST;
            if have < wanted && !dear && !chosen.iter().any(|other| other == family) {
                chosen.push(family.to_owned());
                have += size;
            }
        }
    }
    chosen.sort_unstable();
    chosen
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
}
