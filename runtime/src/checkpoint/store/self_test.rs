//! Whether a store does what checkpoints rest on: tried with an object that nobody else uses.

use bytes::Bytes;

use super::super::objects::Put;
use super::super::{CheckpointError, ClaimToken};
use super::Store;

/// Beside the pipelines, whose names hold no `@`.
const FOLDER: &str = "@self-test";

impl Store {
    /// Puts an object, tries to put another over it, reads, lists and deletes it. `token` is for this call alone.
    pub async fn self_test(&self, token: ClaimToken) -> Result<(), CheckpointError> {
        let name = format!("{:032x}", token.0);
        let object = format!("{FOLDER}/{name}");
        let tried = self.try_object(&object, &name).await;
        let deleted = self.objects.delete(&object).await;
        tried.and(deleted)
    }

    async fn try_object(&self, object: &str, name: &str) -> Result<(), CheckpointError> {
        let wrong =
            |what: &str| CheckpointError::NoPutIfAbsent { location: self.location().to_owned(), what: what.to_owned() };
        let first = Bytes::from_static(b"first\n");
        match self.objects.put_new(object, &first).await? {
            Put::Done => {}
            Put::Taken(_) => return Err(wrong("it says of a new object that it is there")),
        }
        match self.objects.put_new(object, &Bytes::from_static(b"second\n")).await? {
            Put::Taken(there) if there == first => {}
            Put::Taken(_) => return Err(wrong("an object that it refused to replace has changed")),
            Put::Done => return Err(wrong("it puts an object where there is one")),
        }
        let listed = self.objects.list(FOLDER).await?;
        if !listed.iter().any(|listed| listed.segments == [name]) {
            return Err(wrong("it does not list an object that it has put"));
        }
        Ok(())
    }
}
