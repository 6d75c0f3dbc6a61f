//! What the name of a container's log says: pod, namespace, container.
//!
//! ```text
//! /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log
//! /var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log
//! ```

use std::path::Path;

use logrisk_flow::Fields;

/// Adds the fields that the path of a container's log tells.
pub(super) fn push_fields(path: &Path, fields: &mut Fields) {
    if let Some([namespace, pod, container]) = of_containers(path, fields).or_else(|| of_pods(path, fields)) {
        fields.push("kubernetes.namespace", namespace);
        fields.push("kubernetes.pod.name", pod);
        fields.push("kubernetes.container.name", container);
    }
}

fn of_containers(path: &Path, fields: &mut Fields) -> Option<[String; 3]> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let (name, id) = name.rsplit_once('-')?;
    if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // None of the three may hold an underscore.
    let mut parts = name.split('_');
    let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
    fields.push("container.id", id);
    Some([namespace, pod, container].map(str::to_owned))
}

fn of_pods(path: &Path, fields: &mut Fields) -> Option<[String; 3]> {
    let mut folders = path.parent()?.iter().rev();
    let container = folders.next()?.to_str()?;
    let mut parts = folders.next()?.to_str()?.split('_');
    if folders.next()? != "pods" {
        return None;
    }
    let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
    fields.push("kubernetes.pod.uid", uid);
    Some([namespace, pod, container].map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &[(&str, &str)]) {
        let mut fields = Fields::default();
        push_fields(Path::new(path), &mut fields);
        let found: Vec<_> = fields.iter().map(|(name, value)| (name, value.as_str().unwrap())).collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn pod_namespace_and_container_are_read_from_the_name() {
        let id = "0123456789abcdef".repeat(4);
        check(
            &format!("/var/log/containers/shop-7d9-x2_prod_web-server-{id}.log"),
            &[
                ("container.id", &id),
                ("kubernetes.namespace", "prod"),
                ("kubernetes.pod.name", "shop-7d9-x2"),
                ("kubernetes.container.name", "web-server"),
            ],
        );
        check(
            "/var/log/pods/prod_shop-7d9-x2_11f2/web/0.log",
            &[
                ("kubernetes.pod.uid", "11f2"),
                ("kubernetes.namespace", "prod"),
                ("kubernetes.pod.name", "shop-7d9-x2"),
                ("kubernetes.container.name", "web"),
            ],
        );
        check("/var/log/syslog", &[]);
        check("/var/log/my_app_x-1.log", &[]);
    }
}
