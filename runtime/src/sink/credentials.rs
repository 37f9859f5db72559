//! How the index lets us in, as it is now: a secret that is in a file is looked at again now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use elasticsearch::auth::Credentials;

use super::SinkError;
use crate::config::{Auth, Credential, Secret};

/// A secret that was rotated is taken after this long.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct CurrentCredentials {
    auth: Auth,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    looked: Instant,
    secret: Secret,
    /// The log says that the file cannot be used.
    is_told: bool,
}

impl CurrentCredentials {
    /// And how we are let in now; none where nobody asks who we are.
    pub fn new(auth: &Auth) -> Result<Option<(Self, Credentials)>, SinkError> {
        let Some(secret) = secret_of(auth).map(read).transpose()? else { return Ok(None) };
        let Some(credentials) = credentials(auth, &secret)? else { return Ok(None) };
        let last = Mutex::new(Last { looked: Instant::now(), secret, is_told: false });
        Ok(Some((CurrentCredentials { auth: auth.clone(), last }, credentials)))
    }

    /// How we are let in from now on, where that has changed. What cannot be read or used yet changes nothing.
    pub fn changed(&self) -> Option<Credentials> {
        let secret = secret_of(&self.auth).filter(|secret| matches!(secret, Credential::File(_)))?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.looked.elapsed() < LOOK_EVERY {
            return None;
        }
        last.looked = Instant::now();
        let now = read(secret).and_then(|secret| Ok((credentials(&self.auth, &secret)?, secret)));
        match now {
            Ok((_, secret)) if secret == last.secret => None,
            Ok((credentials, secret)) => {
                (last.secret, last.is_told) = (secret, false);
                tracing::info!("the secret for the index has changed");
                credentials
            }
            Err(error) => {
                if !std::mem::replace(&mut last.is_told, true) {
                    tracing::warn!("the former secret is sent to the index still: {error}");
                }
                None
            }
        }
    }
}

fn secret_of(auth: &Auth) -> Option<&Credential> {
    match auth {
        Auth::None => None,
        Auth::Basic { password: secret, .. } | Auth::ApiKey(secret) | Auth::Bearer(secret) => Some(secret),
    }
}

fn read(secret: &Credential) -> Result<Secret, SinkError> {
    secret.read().map_err(|error| SinkError::Secret(error.to_string()))
}

fn credentials(auth: &Auth, secret: &Secret) -> Result<Option<Credentials>, SinkError> {
    Ok(match auth {
        Auth::None => None,
        Auth::Basic { user, .. } => Some(Credentials::Basic(user.clone(), secret.expose().to_owned())),
        Auth::ApiKey(_) => Some(Credentials::EncodedApiKey(for_header(secret, "api_key")?)),
        Auth::Bearer(_) => Some(Credentials::Bearer(for_header(secret, "bearer")?)),
    })
}

/// The transport takes for granted that a credential can stand in a header.
fn for_header(secret: &Secret, name: &'static str) -> Result<String, SinkError> {
    let text = secret.expose();
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err(SinkError::Credential { name }),
    }
}
