//! What a request was for, under the names by which the functions are known in Azure.
//!
//! Few names, whatever callers make up: a path that is none of ours is `unmatched`.

/// The operations of an app, by their paths.
#[derive(Default)]
pub struct Operations(Vec<Operation>);

/// What a path is for.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) route: String,
}

/// The name of what is at no path of ours.
pub(crate) const UNMATCHED: &str = "unmatched";
/// The name of what the host asks to see how we are.
pub(crate) const PROBE: &str = "probe";

impl Operations {
    /// Operations by name and path, and the host's probe.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        let probe = std::iter::once((PROBE, "/"));
        let all = probe.chain(paths).map(|(name, route)| Operation { name, route: route.to_owned() });
        Self(all.collect())
    }

    /// What is at `path`, in any letter case and with a slash at the end or without.
    pub(crate) fn at(&self, path: &str) -> Option<&Operation> {
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        self.0.iter().find(|operation| operation.route.eq_ignore_ascii_case(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_its_name_in_every_form_the_host_lets_through() {
        let operations = Operations::new([("SendMessage", "/api/messages")]);
        let name = |path| operations.at(path).map(|operation| operation.name);
        for path in ["/api/messages", "/API/Messages", "/api/messages/"] {
            assert_eq!(name(path), Some("SendMessage"), "{path}");
        }
        assert_eq!((name("/"), name("//")), (Some(PROBE), Some(PROBE)));
        for path in ["", "/api", "/api/messages//", "/api/messages/x", "*"] {
            assert_eq!(name(path), None, "{path}");
        }
    }
}
