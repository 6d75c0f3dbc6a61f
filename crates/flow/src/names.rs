//! Names of fields in two vocabularies: the Elastic Common Schema, which records and documents speak, and OpenTelemetry's
//! semantic conventions, which OTLP speaks. One table, read both ways.

use std::borrow::Cow;

/// OpenTelemetry's names beside those of ECS. Of two that mean the same, the first is the one that is written.
const NAMES: [(&str, &str); 23] = [
    ("code.file.path", "log.origin.file.name"),
    ("code.filepath", "log.origin.file.name"),
    ("code.function.name", "log.origin.function"),
    ("code.function", "log.origin.function"),
    ("code.line.number", "log.origin.file.line"),
    ("code.lineno", "log.origin.file.line"),
    ("container.image.tags", "container.image.tag"),
    ("deployment.environment.name", "service.environment"),
    ("deployment.environment", "service.environment"),
    ("enduser.id", "user.id"),
    ("exception.message", "error.message"),
    ("exception.stacktrace", "error.stack_trace"),
    ("exception.type", "error.type"),
    ("host.arch", "host.architecture"),
    ("k8s.cluster.name", "orchestrator.cluster.name"),
    ("k8s.namespace.name", "kubernetes.namespace"),
    ("os.description", "host.os.full"),
    ("process.command_args", "process.args"),
    ("process.executable.path", "process.executable"),
    ("service.instance.id", "service.node.name"),
    ("telemetry.sdk.language", "service.language.name"),
    ("thread.id", "process.thread.id"),
    ("thread.name", "process.thread.name"),
];

/// Beginnings of names, where the rest is the same.
const BEGINNINGS: [(&str, &str); 5] = [
    ("k8s.pod.label.", "kubernetes.labels."),
    ("k8s.pod.labels.", "kubernetes.labels."),
    ("k8s.pod.annotation.", "kubernetes.annotations."),
    ("k8s.", "kubernetes."),
    ("os.", "host.os."),
];

/// Namespaces that both vocabularies have, with the same names in them.
const SHARED: [&str; 18] = [
    "client.",
    "cloud.",
    "container.",
    "destination.",
    "dns.",
    "faas.",
    "file.",
    "geo.",
    "host.",
    "http.",
    "log.file.",
    "network.",
    "process.",
    "server.",
    "service.",
    "source.",
    "url.",
    "user_agent.",
];

/// Namespaces of OpenTelemetry that say what sent a record; the others say what it is about.
const RESOURCE: [&str; 10] = [
    "cloud.",
    "container.",
    "deployment.",
    "faas.",
    "host.",
    "k8s.",
    "os.",
    "process.",
    "service.",
    "telemetry.",
];

/// What an attribute of OTLP belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// What sent the record: written once for all its records.
    Resource,
    /// The record alone.
    Record,
}

/// A record's field by the name of an attribute: ECS's name, or the attribute's below `resource` or `attributes`.
///
/// ```
/// use logrisk_flow::{Holder, field_name};
/// assert_eq!(field_name("k8s.pod.name", Holder::Resource), "kubernetes.pod.name");
/// assert_eq!(field_name("order", Holder::Record), "attributes.order");
/// ```
#[must_use]
pub fn field_name(attribute: &str, holder: Holder) -> Cow<'static, str> {
    if let Some((_, field)) = NAMES.iter().find(|(own, _)| *own == attribute) {
        return Cow::Borrowed(field);
    }
    for (begin, other) in BEGINNINGS {
        if let Some(rest) = attribute.strip_prefix(begin) {
            return format!("{other}{rest}").into();
        }
    }
    if SHARED.iter().any(|shared| attribute.starts_with(shared)) {
        return attribute.to_owned().into();
    }
    match holder {
        Holder::Resource => format!("resource.{attribute}"),
        Holder::Record => format!("attributes.{attribute}"),
    }
    .into()
}

/// The attribute of a record's field, and whose it is: [`field_name`] backwards. A field that neither vocabulary knows
/// keeps its name.
#[must_use]
pub fn attribute_name(field: &str) -> (Cow<'_, str>, Holder) {
    if let Some(attribute) = field.strip_prefix("resource.") {
        return (attribute.into(), Holder::Resource);
    }
    if let Some(attribute) = field.strip_prefix("attributes.") {
        return (attribute.into(), Holder::Record);
    }
    let attribute = match NAMES.iter().find(|(_, own)| *own == field) {
        Some((attribute, _)) => Cow::Borrowed(*attribute),
        None => BEGINNINGS
            .iter()
            .find_map(|(other, begin)| Some(format!("{other}{}", field.strip_prefix(begin)?).into()))
            .unwrap_or(Cow::Borrowed(field)),
    };
    let holder = if RESOURCE.iter().any(|begin| attribute.starts_with(begin)) {
        Holder::Resource
    } else {
        Holder::Record
    };
    (attribute, holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_counterparts_both_ways() {
        use Holder::{Record, Resource};
        for (attribute, holder, field) in [
            ("service.name", Resource, "service.name"),
            ("service.instance.id", Resource, "service.node.name"),
            ("deployment.environment.name", Resource, "service.environment"),
            ("host.name", Resource, "host.name"),
            ("os.type", Resource, "host.os.type"),
            ("k8s.namespace.name", Resource, "kubernetes.namespace"),
            ("k8s.pod.name", Resource, "kubernetes.pod.name"),
            ("k8s.pod.label.app", Resource, "kubernetes.labels.app"),
            ("container.id", Resource, "container.id"),
            ("process.pid", Resource, "process.pid"),
            ("team", Resource, "resource.team"),
            ("exception.stacktrace", Record, "error.stack_trace"),
            ("http.request.method", Record, "http.request.method"),
            ("log.file.path", Record, "log.file.path"),
            ("thread.name", Record, "process.thread.name"),
            ("order", Record, "attributes.order"),
        ] {
            assert_eq!(field_name(attribute, holder), field);
            assert_eq!(attribute_name(field), (attribute.into(), holder), "{field}");
        }
        assert_eq!(field_name("deployment.environment", Resource), "service.environment");
        assert_eq!(attribute_name("fluent.tag"), ("fluent.tag".into(), Record));
    }
}
