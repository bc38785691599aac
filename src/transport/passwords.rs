//! Passwords that make another user of us: asked for once per run, proven on one host before any other is tried with them,
//! and never tried again once they were wrong. A thousand hosts with a mistyped password are a thousand locked accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;
use zeroize::Zeroizing;

use super::Shared;
use super::command::Elevation;
use crate::base::clean;
use crate::catalog::connection::BecomeMethod;

/// The passwords of a run, by what they are for.
#[derive(Default)]
pub(crate) struct Passwords(Mutex<HashMap<String, Arc<tokio::sync::Mutex<State>>>>);

/// What is known of one password.
#[derive(Default)]
enum State {
    /// Nobody was asked.
    #[default]
    Unasked,
    /// Nobody gave one.
    Ungiven,
    /// Given, and not tried yet.
    Unproven(Zeroizing<String>),
    /// A host took it.
    Proven(Zeroizing<String>),
    /// A host did not take it: this one.
    Wrong(String),
}

/// What a password is for, in words; `None` when none could help.
pub(crate) fn key(elevation: &Elevation, login: &str) -> Option<String> {
    match elevation {
        // sudo and doas ask for one's own password, su for the other's.
        Elevation::Become { method: BecomeMethod::Sudo, .. } => Some(format!("sudo password of {login}")),
        Elevation::Become { method: BecomeMethod::Su, user } => Some(format!("password of {user}")),
        Elevation::Become { method: BecomeMethod::Doas, .. } => Some(format!("doas password of {login}")),
        Elevation::Stay => None,
    }
}

/// The right to try a password; as long as it is held nobody else tries it.
pub(crate) struct Proof(OwnedMutexGuard<State>);

impl Passwords {
    fn state(&self, key: &str) -> Arc<tokio::sync::Mutex<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.to_owned()).or_default().clone()
    }

    /// The password, when a host took it before.
    pub(crate) fn known(&self, key: &str) -> Option<Zeroizing<String>> {
        match &*self.state(key).try_lock().ok()? {
            State::Proven(password) => Some(password.clone()),
            _ => None,
        }
    }

    /// Waits for whoever is trying it, then asks for it unless it was asked for; `host` is why.
    pub(crate) async fn prove(&self, shared: &Shared, key: &str, host: &str) -> Proof {
        let mut state = self.state(key).lock_owned().await;
        if let (State::Unasked, Some(ask)) = (&*state, shared.options.ask.clone()) {
            let question = format!("{} (for {})", clean::line(key), clean::line(host));
            let asked = tokio::task::spawn_blocking(move || ask(&question)).await;
            *state = match asked.ok().flatten() {
                Some(password) => State::Unproven(password),
                None => State::Ungiven,
            };
        }
        Proof(state)
    }
}

impl Proof {
    /// The password to try, if there is one.
    ///
    /// # Errors
    /// It was wrong elsewhere.
    pub(crate) fn password(&self) -> Result<Option<Zeroizing<String>>, String> {
        match &*self.0 {
            State::Unproven(password) | State::Proven(password) => Ok(Some(password.clone())),
            State::Unasked | State::Ungiven => Ok(None),
            State::Wrong(host) => Err(format!("the password was wrong on {} and is not tried here", clean::line(host))),
        }
    }

    /// Whether a host took it already.
    pub(crate) fn is_proven(&self) -> bool {
        matches!(&*self.0, State::Proven(_))
    }

    /// A host took it.
    pub(crate) fn proven(&mut self) {
        if let State::Unproven(password) = &*self.0 {
            *self.0 = State::Proven(password.clone());
        }
    }

    /// `host` did not take it.
    pub(crate) fn wrong(&mut self, host: &str) {
        *self.0 = State::Wrong(host.to_owned());
    }
}
