//! The operation of a request: the name of the function in Azure.
//!
//! Unknown paths share one name, `unmatched`, so that callers cannot create names.

/// Maps the paths of the app's routes to the operation names of the access log.
#[derive(Default)]
pub struct Operations(Vec<Operation>);

/// A name and its path.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) route: String,
}

/// The operation of unknown paths.
pub(crate) const UNMATCHED: &str = "unmatched";
/// The operation of the host's health check.
pub(crate) const PROBE: &str = "probe";

impl Operations {
    /// The given names and paths, and the host's probe.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        let probe = std::iter::once((PROBE, "/"));
        let all = probe.chain(paths).map(|(name, route)| Operation { name, route: route.to_owned() });
        Self(all.collect())
    }

    /// The operation at `path`, ignoring letter case and one trailing slash.
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
