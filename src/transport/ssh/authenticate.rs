//! Who we are: keys of the agent and of files, tried in the order ssh tries them, and why none of them was taken.

use std::path::PathBuf;
use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};

use super::agent::{self, Agent};
use super::guard::{Guard, Notebook, shown};
use super::keys::{self, KeyFile, show};
use super::settings::Settings;
use crate::base::clean;
use crate::transport::{Failure, Phase, Shared};

/// sshd hangs up after six refusals by default; one is kept back.
const MOST_TRIES: usize = 5;

/// How many things a host may want of us one after the other.
const MOST_STEPS: usize = 6;

/// How many rounds of questions a host may ask.
const MOST_ROUNDS: usize = 10;

/// Logs in to the host that is called `at` in messages.
///
/// # Errors
/// No key was taken: which were tried, which could not be, and what the host would take.
pub(crate) async fn log_in(
    shared: &Shared,
    settings: &Settings,
    at: &str,
    handle: &mut Handle<Guard>,
    notebook: &Notebook,
) -> Result<(), Failure> {
    let mut login = Login {
        shared,
        settings,
        at,
        handle,
        notebook,
        tried: Vec::new(),
        notes: Vec::new(),
        offered: None,
        taken: Vec::new(),
        rsa: None,
    };
    // A host may want several things of us, in an order of its own: each that it takes is a step.
    for _ in 0..MOST_STEPS {
        let steps = login.taken.len();
        if login.by_key().await? || login.by_questions().await? {
            return Ok(());
        }
        if login.taken.len() == steps {
            break;
        }
    }
    Err(login.refused())
}

struct Login<'a> {
    shared: &'a Shared,
    settings: &'a Settings,
    at: &'a str,
    handle: &'a mut Handle<Guard>,
    notebook: &'a Notebook,
    /// What the host refused.
    tried: Vec<String>,
    /// What could not be offered to it, and why.
    notes: Vec<String>,
    /// The methods it would take.
    offered: Option<MethodSet>,
    /// What it has taken, and wants more.
    taken: Vec<String>,
    /// How RSA keys may sign for it, once asked; the inner `None` is not at all.
    rsa: Option<Option<HashAlg>>,
}

/// Something that can prove who we are.
enum Candidate {
    /// An identity of the agent.
    Held(AgentIdentity),
    /// A certificate from a file, for a key that the agent holds.
    Vouched(Certificate),
    /// A key from a file.
    Key(Arc<PrivateKey>),
    /// A key from a file, with a certificate for it.
    Certified(Arc<PrivateKey>, Certificate),
    /// A key from a file that has to be unlocked.
    Locked(PathBuf, Option<Arc<PublicKey>>),
}

impl Login<'_> {
    /// Tries keys; whether one was taken.
    async fn by_key(&mut self) -> Result<bool, Failure> {
        if !self.takes(&MethodKind::PublicKey) {
            return Ok(false);
        }
        let mut agent = self.agent().await;
        for (label, candidate) in self.candidates(agent.as_ref()) {
            // A key counts for one step. What was refused may only have come too early.
            if self.taken.contains(&label) {
                continue;
            }
            if self.tried.len() >= MOST_TRIES {
                self.notes
                    .push(format!("no more than {MOST_TRIES} keys are tried: name the right one in identity_file"));
                break;
            }
            let taken = match (candidate, agent.as_mut()) {
                (Candidate::Held(identity), Some(agent)) => self.try_held(&label, agent, identity).await?,
                (Candidate::Vouched(certificate), Some(agent)) => {
                    let identity = AgentIdentity::from(certificate);
                    self.try_held(&label, agent, identity).await?
                }
                (Candidate::Held(_) | Candidate::Vouched(_), None) => continue,
                (Candidate::Certified(key, certificate), _) => self.try_certified(&label, key, certificate).await?,
                (Candidate::Key(key), _) => self.try_key(&label, key).await?,
                (Candidate::Locked(path, public), _) => self.try_locked(&label, path, public).await?,
            };
            if taken {
                return Ok(true);
            }
            if !self.takes(&MethodKind::PublicKey) {
                break;
            }
        }
        if self.offered.is_none() {
            // Only to learn what the host would take.
            let user = self.settings.user.clone();
            let asked =
                tokio::time::timeout(self.shared.options.login_timeout, self.handle.authenticate_none(user)).await;
            return self.result(None, asked.map(|result| result.map_err(|error| error.to_string())));
        }
        Ok(false)
    }

    /// Whether the host would take this, as far as it has said.
    fn takes(&self, method: &MethodKind) -> bool {
        self.offered.as_ref().is_none_or(|offered| offered.contains(method))
    }

    async fn agent(&mut self) -> Option<Agent> {
        let socket = self.settings.agent.as_ref()?;
        match agent::open(socket, self.handle.agent_session_binding()).await {
            Ok(agent) => Some(agent),
            Err(problem) => {
                self.notes.push(problem);
                None
            }
        }
    }

    /// What can be tried, in ssh's order: configured keys that the agent holds, its other keys, then files.
    fn candidates(&mut self, agent: Option<&Agent>) -> Vec<(String, Candidate)> {
        let files: Vec<(PathBuf, KeyFile)> =
            self.settings.identity_files.iter().map(|path| (path.clone(), self.shared.ssh.keys.look(path))).collect();
        let held = agent.map(|agent| agent.identities.as_slice()).unwrap_or_default();
        let is = |identity: &AgentIdentity, file: &KeyFile| {
            file.public().is_some_and(|key| key.key_data() == identity.public_key().key_data())
        };
        let certificates = self.certificates();
        let certificate_of =
            |key: &PublicKey| certificates.iter().find(|(_, found)| found.public_key() == key.key_data());
        let mut found = Vec::new();
        let name = |identity: &AgentIdentity| format!("agent key {}", clean::line(identity.comment()));
        for (_, file) in &files {
            for identity in held.iter().filter(|identity| is(identity, file)) {
                if let Some((label, certificate)) = certificate_of(&identity.public_key()) {
                    found.push((label.clone(), Candidate::Vouched(certificate.clone())));
                }
                found.push((name(identity), Candidate::Held(identity.clone())));
            }
        }
        if !self.settings.identities_only {
            for identity in held.iter().filter(|identity| !files.iter().any(|(_, file)| is(identity, file))) {
                found.push((name(identity), Candidate::Held(identity.clone())));
            }
        }
        for (path, file) in files {
            if held.iter().any(|identity| is(identity, &file)) {
                continue;
            }
            let label = show(&path);
            match file {
                KeyFile::Ready(key) => {
                    if let Some((label, certificate)) = certificate_of(key.public_key()) {
                        found.push((label.clone(), Candidate::Certified(key.clone(), certificate.clone())));
                    }
                    found.push((label, Candidate::Key(key)));
                }
                KeyFile::Locked(public) => found.push((label, Candidate::Locked(path, public))),
                KeyFile::Public(_) => self.notes.push(format!("the agent does not hold the key of {label}")),
                KeyFile::Unusable(why) => self.notes.push(why),
                // Those that ssh would only look for are not missed.
                KeyFile::Missing if self.settings.identities_only => self.notes.push(format!("{label} does not exist")),
                KeyFile::Missing => {}
            }
        }
        found
    }

    /// Certificates for our keys, by what they are called: those named, and those that lie next to a key.
    fn certificates(&mut self) -> Vec<(String, Certificate)> {
        let beside = self.settings.identity_files.iter().map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push("-cert.pub");
            PathBuf::from(name)
        });
        let mut found = Vec::new();
        for path in self.settings.certificate_files.iter().cloned().chain(beside) {
            match keys::certificate(&path) {
                Ok(certificate) => found.extend(certificate.map(|certificate| (show(&path), certificate))),
                Err(why) => self.notes.push(why),
            }
        }
        found
    }

    async fn try_certified(
        &mut self,
        label: &str,
        key: Arc<PrivateKey>,
        certificate: Certificate,
    ) -> Result<bool, Failure> {
        let Some(hash) = self.hash_for(label, &key.algorithm()).await? else { return Ok(false) };
        let user = self.settings.user.clone();
        let mut signer = KeySigner { key, hash };
        let tried = self.handle.authenticate_certificate_with(user, certificate, hash, &mut signer);
        let tried = tokio::time::timeout(self.shared.options.login_timeout, tried).await;
        self.result(Some(label), tried.map(|result| result.map_err(|error| error.to_string())))
    }

    async fn try_key(&mut self, label: &str, key: Arc<PrivateKey>) -> Result<bool, Failure> {
        let Some(hash) = self.hash_for(label, &key.algorithm()).await? else { return Ok(false) };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let user = self.settings.user.clone();
        let tried = self.handle.authenticate_publickey(user, key);
        let tried = tokio::time::timeout(self.shared.options.login_timeout, tried).await;
        self.result(Some(label), tried.map(|result| result.map_err(|error| error.to_string())))
    }

    async fn try_held(&mut self, label: &str, agent: &mut Agent, identity: AgentIdentity) -> Result<bool, Failure> {
        let Some(hash) = self.hash_for(label, &identity.public_key().algorithm()).await? else { return Ok(false) };
        let user = self.settings.user.clone();
        let tried = async {
            match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    self.handle.authenticate_publickey_with(user, key, hash, &mut agent.client).await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.handle.authenticate_certificate_with(user, certificate, hash, &mut agent.client).await
                }
            }
        };
        let tried = tokio::time::timeout(self.shared.options.login_timeout, tried).await;
        self.result(Some(label), tried.map(|result| result.map_err(|error| error.to_string())))
    }

    /// Asks for the passphrase only when the host would take the key.
    async fn try_locked(
        &mut self,
        label: &str,
        path: PathBuf,
        public: Option<Arc<PublicKey>>,
    ) -> Result<bool, Failure> {
        if let Some(public) = public {
            let Some(hash) = self.hash_for(label, &public.algorithm()).await? else { return Ok(false) };
            let user = self.settings.user.clone();
            let mut probe = Probe { wanted: false };
            let tried = self.handle.authenticate_publickey_with(user, (*public).clone(), hash, &mut probe);
            let tried = tokio::time::timeout(self.shared.options.login_timeout, tried).await;
            if !probe.wanted {
                return self.result(Some(label), tried.map(|result| result.map_err(|_| "the login broke".to_owned())));
            }
        }
        match self.shared.ssh.keys.unlock(self.shared, &path).await {
            Ok(key) => self.try_key(label, key).await,
            Err(why) => {
                self.notes.push(why);
                Ok(false)
            }
        }
    }

    /// Answers the host's questions, or gives a password, when there is somebody to ask; whether that was enough.
    async fn by_questions(&mut self) -> Result<bool, Failure> {
        let (questions, password) = (self.takes(&MethodKind::KeyboardInteractive), self.takes(&MethodKind::Password));
        if !(questions || password) {
            return Ok(false);
        }
        if self.shared.options.ask.is_none() {
            self.notes.push("there is no terminal to ask for a password at".to_owned());
            return Ok(false);
        }
        let proof = self.shared.passwords.prove(self.shared, &self.password_key(), self.at).await;
        let given = match proof.password() {
            Ok(Some(given)) => given,
            Ok(None) => {
                self.notes.push("no password was given".to_owned());
                return Ok(false);
            }
            Err(why) => {
                self.notes.push(why);
                return Ok(false);
            }
        };
        // Whoever tries it first holds up everybody else; once it is proven nobody is.
        let mut trying = (!proof.is_proven()).then_some(proof);
        let steps = self.taken.len();
        let taken = if questions { self.answer(&given).await? } else { self.give(&given).await? };
        match &mut trying {
            Some(proof) if taken || self.taken.len() > steps => proof.proven(),
            Some(proof) => proof.wrong(self.at),
            None => {}
        }
        Ok(taken)
    }

    /// What a login password is for, in words.
    fn password_key(&self) -> String {
        format!("SSH password of {}", self.settings.user)
    }

    async fn give(&mut self, password: &str) -> Result<bool, Failure> {
        let user = self.settings.user.clone();
        let tried = self.handle.authenticate_password(user, password);
        let tried = tokio::time::timeout(self.shared.options.login_timeout, tried).await;
        self.result(Some("a password"), tried.map(|result| result.map_err(|error| error.to_string())))
    }

    /// Keyboard-interactive: a hidden question for a password gets it, every other is passed on to whoever is there.
    async fn answer(&mut self, password: &str) -> Result<bool, Failure> {
        let within = self.shared.options.login_timeout;
        let user = self.settings.user.clone();
        let mut reply =
            tokio::time::timeout(within, self.handle.authenticate_keyboard_interactive_start(user, None)).await;
        for _ in 0..MOST_ROUNDS {
            let outcome = match reply {
                Ok(Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. })) => {
                    let answers = self.answers(&prompts, password).await;
                    let respond = self.handle.authenticate_keyboard_interactive_respond(answers);
                    reply = tokio::time::timeout(within, respond).await;
                    continue;
                }
                Ok(Ok(KeyboardInteractiveAuthResponse::Success)) => Ok(Ok(AuthResult::Success)),
                Ok(Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success })) => {
                    Ok(Ok(AuthResult::Failure { remaining_methods, partial_success }))
                }
                Ok(Err(error)) => Ok(Err(error.to_string())),
                Err(elapsed) => Err(elapsed),
            };
            return self.result(Some("answers to its questions"), outcome);
        }
        Err(self.broken("it asks without end"))
    }

    async fn answers(&self, prompts: &[Prompt], password: &str) -> Vec<String> {
        let mut answers = Vec::new();
        for prompt in prompts {
            if !prompt.echo && prompt.prompt.to_ascii_lowercase().contains("password") {
                answers.push(password.to_owned());
                continue;
            }
            // Whoever asks adds the colon.
            let question = format!("{}: {}", self.at, shown(&prompt.prompt).trim_end_matches([':', ' ']));
            let Some(ask) = self.shared.options.ask.clone() else { break };
            let answer = tokio::task::spawn_blocking(move || ask(&question)).await.ok().flatten();
            answers.push(answer.map(|answer| answer.as_str().to_owned()).unwrap_or_default());
        }
        answers
    }

    /// How a key of this kind signs here; the outer `None` when it cannot.
    async fn hash_for(&mut self, label: &str, algorithm: &Algorithm) -> Result<Option<Option<HashAlg>>, Failure> {
        if !algorithm.clone().is_rsa() {
            return Ok(Some(None));
        }
        if self.rsa.is_none() {
            let asked = self.handle.best_supported_rsa_hash();
            let asked = tokio::time::timeout(self.shared.options.login_timeout, asked).await;
            self.rsa = Some(match asked {
                // It did not say: what RFC 8332 lets a client try.
                Ok(Ok(None)) => Some(HashAlg::Sha512),
                Ok(Ok(Some(hash))) => hash,
                Ok(Err(_)) | Err(_) => return Err(self.broken("it did not say which signatures it takes")),
            });
        }
        if self.rsa == Some(None) {
            self.notes
                .push(format!("{label} is an RSA key, and the host takes those only with SHA-1, which is broken"));
            return Ok(None);
        }
        Ok(self.rsa)
    }

    /// Reads what came of a try; whether it was taken.
    fn result(
        &mut self,
        label: Option<&str>,
        outcome: Result<Result<AuthResult, String>, tokio::time::error::Elapsed>,
    ) -> Result<bool, Failure> {
        match outcome {
            Ok(Ok(AuthResult::Success)) => {
                tracing::debug!("{}: it took {}", self.at, label.unwrap_or("us without a proof"));
                Ok(true)
            }
            Ok(Ok(AuthResult::Failure { remaining_methods, partial_success })) => {
                let what = label.unwrap_or("a login without a proof");
                let how = if partial_success { "took, and wants more than" } else { "refused" };
                let would: Vec<String> = remaining_methods.iter().map(String::from).collect();
                tracing::debug!("{}: it {how} {what}; it would take {}", self.at, would.join(", "));
                if self.handle.is_closed() {
                    return Err(self.broken("it hung up"));
                }
                let label = label.map(str::to_owned);
                if partial_success {
                    self.taken.extend(label);
                } else {
                    self.tried.extend(label);
                }
                self.offered = Some(remaining_methods);
                Ok(false)
            }
            Ok(Err(problem)) => {
                if self.handle.is_closed() {
                    return Err(self.broken("it hung up"));
                }
                // An agent that will not sign is a reason to try the next key.
                self.notes.push(format!("{}: {}", label.unwrap_or("login"), clean::line(&problem)));
                Ok(false)
            }
            Err(_) => Err(self.broken(&format!("no answer within {} s", self.shared.options.login_timeout.as_secs()))),
        }
    }

    /// The login broke off.
    fn broken(&self, what: &str) -> Failure {
        let mut message = format!("{} as {}: {what}", self.at, clean::line(&self.settings.user));
        if let Some(farewell) = self.notebook.with(|notes| notes.farewell.clone()) {
            message.push_str(&format!(" ({farewell})"));
        }
        if !self.tried.is_empty() {
            message.push_str(&format!(" after {}", self.tried.join(", ")));
        }
        Failure::new(Phase::Authenticate, message).hint(
            "look at the host's sshd log; too many keys offered is one reason: name the right one in identity_file",
        )
    }

    /// Nothing was taken.
    fn refused(&self) -> Failure {
        let user = clean::line(&self.settings.user);
        let offered = self.offered.as_ref().filter(|offered| !offered.is_empty());
        let offered = offered.map(|offered| offered.iter().map(String::from).collect::<Vec<_>>().join(", "));
        let mut message = if self.taken.is_empty() {
            format!("{} refused {user}: ", self.at)
        } else {
            let wants = offered.as_deref().unwrap_or("more");
            format!("{} took {} from {user} and wants {wants} as well: ", self.at, self.taken.join(", "))
        };
        match self.tried.as_slice() {
            [] if self.taken.is_empty() => message.push_str("no key to try"),
            [] => message.push_str("there is nothing more to try"),
            tried => message.push_str(&format!("tried {}", tried.join(", "))),
        }
        if let Some(offered) = offered.filter(|_| self.taken.is_empty()) {
            message.push_str(&format!("; it takes {offered}"));
        }
        for note in &self.notes {
            message.push_str(&format!("; {note}"));
        }
        if let Some(banner) = self.notebook.with(|notes| notes.banner.clone()) {
            message.push_str(&format!("; it said: {banner}"));
        }
        let wants_person = self.takes(&MethodKind::Password) || self.takes(&MethodKind::KeyboardInteractive);
        let or = if wants_person && self.shared.options.ask.is_none() {
            "; or run it at a terminal, where a password can be asked for"
        } else {
            ""
        };
        Failure::new(Phase::Authenticate, message).hint(format!(
            "put a public key of yours into ~{user}/.ssh/authorized_keys on the host, load its private key into the agent or \
             name it in identity_file{or}"
        ))
    }
}

/// Signs with a key from a file: the library signs for certificates of RSA keys with SHA-1 otherwise.
struct KeySigner {
    key: Arc<PrivateKey>,
    hash: Option<HashAlg>,
}

impl russh::Signer for KeySigner {
    type Error = russh::AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let signature: Signature = match self.key.key_data() {
            KeypairData::Rsa(pair) => (pair, self.hash).try_sign(&data),
            _ => self.key.try_sign(&data),
        }
        .map_err(|_| russh::keys::Error::InvalidSignature)?;
        let mut signed = data;
        signature.encode_prefixed(&mut signed).map_err(|_| russh::keys::Error::InvalidSignature)?;
        Ok(signed)
    }
}

/// Signs nothing: it only learns whether the host would take the key.
struct Probe {
    wanted: bool,
}

impl russh::Signer for Probe {
    type Error = russh::AgentAuthError;

    async fn auth_sign(&mut self, _: &AgentIdentity, _: Option<HashAlg>, _: Vec<u8>) -> Result<Vec<u8>, Self::Error> {
        self.wanted = true;
        Err(russh::keys::Error::KeyIsEncrypted.into())
    }
}
