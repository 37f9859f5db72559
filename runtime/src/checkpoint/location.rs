//! From a URL to the store that it names.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use super::CheckpointError;
use super::objects::{Medium, Objects};
use crate::record::without;

/// For one request. A checkpoint of 256 MiB passes at 5 MB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For what passes within moments. What takes longer is the caller's: it makes another checkpoint, or begins again.
const RETRIES_MAX: usize = 4;
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// The objects below a URL. Of the options, those are taken whose name begins as the store's variables in the environment do:
/// `AWS_…`, `GOOGLE_…`, `AZURE_…`.
pub(super) fn open(location: &str, options: &[(String, String)]) -> Result<Objects, CheckpointError> {
    let wrong = |what: String| CheckpointError::Location { location: location.to_owned(), what };
    let url = Url::parse(location).map_err(|error| wrong(error.to_string()))?;
    let (scheme, root) = ObjectStoreScheme::parse(&url).map_err(|error| wrong(error.to_string()))?;
    let root = Path::parse(root).map_err(|error| wrong(error.to_string()))?;
    let secrets = options.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.as_str());
    let refused = |error: object_store::Error| wrong(without(&error.to_string(), secrets.clone()).into_owned());
    let client = || ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT);
    let (store, medium): (Arc<dyn ObjectStore>, Medium) = match scheme {
        ObjectStoreScheme::Local => (Arc::new(LocalFileSystem::new().with_fsync(true)), Medium::Disk),
        ObjectStoreScheme::Memory => (Arc::new(InMemory::new()), Medium::Network),
        ObjectStoreScheme::AmazonS3 => {
            let builder = AmazonS3Builder::new().with_client_options(client()).with_retry(retries());
            let builder = configured(builder, options, "aws_", AmazonS3Builder::with_config);
            (Arc::new(builder.with_url(location).build().map_err(refused)?), Medium::Network)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::new().with_client_options(client()).with_retry(retries());
            let builder = configured(builder, options, "google_", GoogleCloudStorageBuilder::with_config);
            (Arc::new(builder.with_url(location).build().map_err(refused)?), Medium::Network)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::new().with_client_options(client()).with_retry(retries());
            let builder = configured(builder, options, "azure_", MicrosoftAzureBuilder::with_config);
            (Arc::new(builder.with_url(location).build().map_err(refused)?), Medium::Network)
        }
        // The set is open: what a later version of it knows is not known here.
        _ => return Err(wrong(format!("`{}` is no scheme that is known here", url.scheme()))),
    };
    Ok(Objects::new(store, root, location, medium).hiding(secrets.map(str::to_owned).collect()))
}

fn retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT }
}

/// Whether an option is a way in, and not an address or a switch.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_ours = ["aws_", "google_", "azure_"].iter().any(|prefix| name.starts_with(prefix));
    is_ours && ["key", "secret", "token", "password", "credential", "sas"].iter().any(|word| name.contains(word))
}

/// Options that the store does not know are somebody else's.
fn configured<B, K: std::str::FromStr>(
    builder: B,
    options: &[(String, String)],
    prefix: &str,
    with: impl Fn(B, K, String) -> B,
) -> B {
    options.iter().fold(builder, |builder, (name, value)| {
        let name = name.to_ascii_lowercase();
        match name.starts_with(prefix).then(|| name.parse()) {
            Some(Ok(key)) => with(builder, key, value.clone()),
            Some(Err(_)) | None => builder,
        }
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(location: &str, expected: Expect) {
        let error = open(location, &[]).expect_err("refused").to_string();
        expected.assert_eq(error.split("; it is").next().unwrap_or_default());
    }

    #[test]
    fn what_is_no_store_is_refused() {
        check("checkpoints", expect!["not a place for objects, location=`checkpoints`: relative URL without a base"]);
        check(
            "ftp://host/folder",
            expect![[
                r#"not a place for objects, location=`ftp://host/folder`: Unable to recognise URL "ftp://host/folder""#
            ]],
        );
        check(
            "https://host/folder",
            expect!["not a place for objects, location=`https://host/folder`: `https` is no scheme that is known here"],
        );
        check(
            "az://container/prefix",
            expect![
                "not a place for objects, location=`az://container/prefix`: Generic MicrosoftAzure error: Account must be specified"
            ],
        );
    }

    #[test]
    fn stores_are_known_by_their_scheme_and_take_their_options() {
        let option = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let options = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
            ("GOOGLE_SKIP_SIGNATURE", "true"),
            ("BUCKET", "another"),
        ];
        let options = options.map(option);
        for location in ["file:///var/lib/x", "memory:///", "s3://bucket/a/b", "gs://bucket", "az://container/a"] {
            assert!(open(location, &options).is_ok(), "{location}");
        }
    }
}
