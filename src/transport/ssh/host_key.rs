//! Whether a host is who it says it is: its key or certificate against what is known, before anything is told to it.
//!
//! A key that contradicts what is known is refused always. A host that is known only by another kind of key contradicts
//! too: a kind that nobody wrote down is what somebody in the middle would offer.

use std::borrow::Cow;
use std::path::PathBuf;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey};

use crate::base::clean;
use crate::catalog::connection::HostKeyChecking;
use crate::transport::known_hosts::{self, KnownHosts, Verdict};
use crate::transport::{Failure, Phase};

/// What one host is to be held against.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The name it is called by in the inventory or on the way to another host.
    pub(crate) called: String,
    /// The host as it stands in messages: name, address and port.
    pub(crate) shown: String,
    /// The name it is looked up by; with a port other than 22 `[name]:port`.
    pub(crate) name: String,
    /// The name without its port, which is asked when nothing is known of the other; none with an alias.
    pub(crate) bare: Option<String>,
    /// What certificates must be made out to.
    pub(crate) principal: String,
    /// What to do with an unknown host.
    pub(crate) checking: HostKeyChecking,
    /// The files that were looked at, the first of which is written to.
    pub(crate) files: Vec<PathBuf>,
}

/// A key that may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It is known, or an authority vouches for it.
    Known,
    /// It is new, and new hosts are accepted: it is to be written down.
    New,
}

impl Policy {
    /// Judges a plain key.
    pub(crate) fn judge_key(&self, known: &KnownHosts, key: &PublicKey) -> Result<Trust, Failure> {
        let blob = key.to_bytes().map_err(|_| self.refuse("showed a key that cannot be read"))?;
        let fingerprint = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        let mut verdict = known.judge(&self.name, &blob);
        if verdict == Verdict::Unknown
            && let Some(bare) = &self.bare
        {
            // As ssh does: a key known for the host's name is also accepted on another port; one that is not is only new.
            verdict = match known.judge(bare, &blob) {
                Verdict::Changed(_) => Verdict::Unknown,
                verdict => verdict,
            };
        }
        match verdict {
            Verdict::Known => Ok(Trust::Known),
            Verdict::Unknown if self.checking == HostKeyChecking::AcceptNew => Ok(Trust::New),
            Verdict::Unknown => Err(self.refuse(&format!("is not known: it shows the key {fingerprint}")).hint(format!(
                "compare that fingerprint with the host's own (`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub`) and write the \
                 key to {} with `snowmelt hosts trust`; or allow `host_key_checking: accept-new`",
                self.files()
            ))),
            Verdict::Changed(places) => Err(self
                .refuse(&format!("shows the key {fingerprint}, but is known by another: {}", known_hosts::list(&places)))
                .hint(format!(
                    "somebody may be listening in between. If the host was rebuilt, compare the fingerprint, then remove the \
                     old key with `snowmelt hosts forget` (`ssh-keygen -R '{}'` for one that is not in the inventory)",
                    self.name
                ))),
            Verdict::Revoked(place) => Err(self
                .refuse(&format!("shows the key {fingerprint}, which is revoked: {place}"))
                .hint("give the host a new key; a revoked one may be in somebody else's hands")),
            Verdict::Unreadable(place) => Err(self
                .refuse(&format!("has a revoked key that cannot be read: {place}"))
                .hint("correct that line, or remove it")),
        }
    }

    /// Judges a certificate: the authority must be trusted for this host and the certificate be meant for it, now. One that
    /// fails is worth no more than its plain key, which must then be known: it is never taken for new.
    ///
    /// The library has verified that the host holds the certificate's key.
    pub(crate) fn judge_certificate(
        &self,
        known: &KnownHosts,
        certificate: &Certificate,
        now: u64,
    ) -> Result<Trust, Failure> {
        let key = PublicKey::new(certificate.public_key().clone(), "");
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        let (Ok(key_blob), Ok(authority_blob)) = (key.to_bytes(), authority.to_bytes()) else {
            return Err(self.refuse("showed a certificate that cannot be read"));
        };
        match known.revoked(&self.name, &[&key_blob, &authority_blob]) {
            Some(Verdict::Revoked(place)) => {
                return Err(self.refuse(&format!("shows a certificate whose key or authority is revoked: {place}")));
            }
            Some(_) => return self.judge_key(known, &key),
            None => {}
        }
        let problem = if !known.is_authority(&self.name, &authority_blob) {
            Some(format!("no @cert-authority line trusts {} for it", authority.fingerprint(HashAlg::Sha256)))
        } else {
            unfit(certificate, &self.principal, now)
        };
        let Some(problem) = problem else { return Ok(Trust::Known) };
        let strict = Self { checking: HostKeyChecking::Strict, ..self.clone() };
        strict.judge_key(known, &key).map_err(|failure| {
            if known.judge(&self.name, &key_blob) != Verdict::Unknown {
                return failure;
            }
            self.refuse(&format!("shows a certificate that does not hold: {}", clean::line(&problem)))
                .hint("have the host's certificate renewed, or add its plain key to known_hosts")
        })
    }

    /// The algorithms to offer, those of the keys it is known by first, as ssh does: a host with several keys then shows the
    /// one that is known. Certificates only where an authority could vouch for it.
    pub(crate) fn algorithms(&self, known: &KnownHosts) -> (Vec<Algorithm>, Vec<Algorithm>) {
        let types = known.key_types(&self.name);
        let is_known = |algorithm: &Algorithm| {
            // All RSA signatures are made with a key of type `ssh-rsa`.
            let kind = if algorithm.clone().is_rsa() { "ssh-rsa" } else { algorithm.as_str() };
            types.contains(&kind)
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = acceptable().into_iter().partition(is_known);
        first.extend(rest);
        let certificates = if known.has_authority(&self.name) { acceptable() } else { Vec::new() };
        (first, certificates)
    }

    /// What is known of it could not be learned.
    pub(crate) fn cannot_tell(&self, problem: &str) -> Failure {
        Failure::new(Phase::HostKey, format!("{}: {problem}", self.shown))
            .hint("a host cannot be verified while it cannot be told what is known of it")
    }

    fn refuse(&self, what: &str) -> Failure {
        Failure::new(Phase::HostKey, format!("{} {what}", self.shown))
    }

    fn files(&self) -> Cow<'_, str> {
        match self.files.first() {
            Some(file) => Cow::Owned(clean::line(&file.display().to_string()).into_owned()),
            None => Cow::Borrowed("known_hosts"),
        }
    }
}

/// Why a certificate of a trusted authority does not hold for `principal` at `now` (seconds since 1970), if so.
fn unfit(certificate: &Certificate, principal: &str, now: u64) -> Option<String> {
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user's, not a host's".to_owned());
    }
    if let Some((option, _)) = certificate.critical_options().iter().next() {
        return Some(format!("it has the critical option `{option}`, which nobody here understands"));
    }
    if now < certificate.valid_after() {
        return Some("it is not valid yet".to_owned());
    }
    if now >= certificate.valid_before() {
        return Some("it has expired".to_owned());
    }
    // Principals are names and not patterns; a certificate without any is made out to nobody.
    let principals = certificate.valid_principals();
    if !principals.iter().any(|known| known == principal) {
        return Some(format!("it is made out to {} and not to {principal}", principals.join(", ")));
    }
    certificate.verify_signature().err().map(|_| "its signature is wrong".to_owned())
}

/// Host key algorithms in order of preference: OpenSSH's, without RSA over SHA-1.
fn acceptable() -> Vec<Algorithm> {
    vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::PrivateKey;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::certificate::Builder;
    use std::path::Path;

    const NOW: u64 = 1_000_000;

    /// A certificate for a key of its own, and its authority.
    fn certificate(
        kind: CertType,
        principals: &[&str],
        valid: (u64, u64),
        critical: bool,
    ) -> (Certificate, PrivateKey) {
        let authority = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let mut builder = Builder::new_with_random_nonce(&mut safe_rng(), key.public_key(), valid.0, valid.1).unwrap();
        builder.cert_type(kind).unwrap();
        if principals.is_empty() {
            builder.all_principals_valid().unwrap();
        }
        for principal in principals {
            builder.valid_principal(*principal).unwrap();
        }
        if critical {
            builder.critical_option("strange", "1").unwrap();
        }
        (builder.sign(&authority).unwrap(), authority)
    }

    fn policy(checking: HostKeyChecking) -> Policy {
        let name = "h".to_owned();
        Policy {
            called: name.clone(),
            shown: "h:22".into(),
            principal: name.clone(),
            name,
            bare: None,
            checking,
            files: Vec::new(),
        }
    }

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.parse(text.as_bytes(), Path::new("known_hosts"));
        known
    }

    #[test]
    fn a_certificate_must_be_for_this_host_now() {
        let now = (NOW - 10, NOW + 10);
        for (kind, principals, valid, critical, fits) in [
            (CertType::Host, &["x", "h"][..], now, false, true),
            (CertType::User, &["h"], now, false, false),
            (CertType::Host, &["x"], now, false, false),
            (CertType::Host, &["*"], now, false, false),
            (CertType::Host, &[], now, false, false),
            (CertType::Host, &["h"], (NOW + 1, NOW + 10), false, false),
            (CertType::Host, &["h"], (NOW - 10, NOW), false, false),
            (CertType::Host, &["h"], now, true, false),
        ] {
            let (certificate, authority) = certificate(kind, principals, valid, critical);
            let line = format!("@cert-authority h {}", authority.public_key().to_openssh().unwrap());
            for checking in [HostKeyChecking::Strict, HostKeyChecking::AcceptNew] {
                let judged = policy(checking).judge_certificate(&known(&line), &certificate, NOW);
                assert_eq!(judged.is_ok(), fits, "{kind:?} {principals:?} {valid:?} {critical}: {judged:?}");
            }
            // Without its authority it is nobody's, and never taken for new.
            assert!(policy(HostKeyChecking::AcceptNew).judge_certificate(&known(""), &certificate, NOW).is_err());
        }
    }

    #[test]
    fn algorithms_follow_what_is_known() {
        let rsa = "h ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE=";
        let (first, certificates) = policy(HostKeyChecking::Strict).algorithms(&known(rsa));
        assert!(first[0].clone().is_rsa() && first[1].clone().is_rsa() && first.len() == 6, "{first:?}");
        assert!(certificates.is_empty());
        assert!(!first.contains(&Algorithm::Rsa { hash: None }), "SHA-1");
        let (first, _) = policy(HostKeyChecking::Strict).algorithms(&known(""));
        assert_eq!(first[0], Algorithm::Ed25519);
    }
}
