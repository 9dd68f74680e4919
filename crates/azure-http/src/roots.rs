//! Certificates of authorities to trust beside those that are compiled in.
//!
//! They come as text and not as a path: a program in an empty file system has no files to read.

use std::fmt;
use std::str::FromStr;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Further root certificates, for a service behind a gateway or a proxy that has one of its own.
///
/// Parsed from PEM text with any number of certificates, one at least.
#[derive(Clone, Debug, Default)]
pub struct RootCertificates(Vec<CertificateDer<'static>>);

impl RootCertificates {
    /// Mozilla's roots and these.
    pub(crate) fn and_mozillas(&self) -> RootCertStore {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        store.add_parsable_certificates(self.0.iter().cloned());
        store
    }
}

impl FromStr for RootCertificates {
    type Err = RootCertificatesError;

    fn from_str(pem: &str) -> Result<Self, Self::Err> {
        let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|_| RootCertificatesError)?;
        let (usable, _) = RootCertStore::empty().add_parsable_certificates(found.iter().cloned());
        if usable == 0 || usable < found.len() { Err(RootCertificatesError) } else { Ok(Self(found)) }
    }
}

/// The text is not PEM with certificates in it, or one of them cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootCertificatesError;

impl fmt::Display for RootCertificatesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be certificates in PEM form: -----BEGIN CERTIFICATE----- and so on")
    }
}

impl std::error::Error for RootCertificatesError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        let broken = "-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\naGk=\n-----END PRIVATE KEY-----\n";
        for text in
            ["", "nonsense", broken, key, "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"]
        {
            assert_eq!(text.parse::<RootCertificates>().unwrap_err(), RootCertificatesError, "{text}");
        }
    }
}
