//! Lines of text as compressed objects: what an archive is made of.

use std::io::Read as _;

use bytes::Bytes;
use zstd::stream::read::Decoder;

use super::super::objects::Put;
use super::super::{CheckpointError, Unreadable};
use super::Store;

const ENDING: &str = ".ndjson.zst";

/// Written once and read seldom: about a third smaller than at the lowest level, and still some hundred megabytes a second.
const ZSTD_LEVEL: i32 = 3;

/// So much is decompressed at once.
const READ_BYTES: usize = 64 << 10;

/// What of the lines is in the store now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PutLines {
    All,
    /// An object that begins with these has so many bytes of them, which are whole lines. It stays as it is: the others belong into an
    /// object of their own.
    Some(usize),
}

impl Store {
    /// Puts lines as an object that is called `NAME.ndjson.zst`. An object that is there is never replaced: where it has other lines,
    /// these go into one that is called `NAME-HASH.ndjson.zst`.
    pub async fn put_lines(&self, name: &str, lines: &[u8]) -> Result<PutLines, CheckpointError> {
        debug_assert!(lines.ends_with(b"\n"), "lines are whole");
        let object = Bytes::from(zstd::encode_all(lines, ZSTD_LEVEL).expect("memory takes what is written"));
        let hash = blake3::hash(lines).to_hex();
        let names = [format!("{name}{ENDING}"), format!("{name}-{}{ENDING}", &hash[..16])];
        for name in &names {
            match self.objects.put_new(name, &object).await? {
                Put::Done => return Ok(PutLines::All),
                Put::Taken(there) => {
                    if let Some(common) = common(lines, &there) {
                        return Ok(common);
                    }
                }
            }
        }
        let [_, object] = names;
        Err(CheckpointError::Unreadable {
            object,
            why: Unreadable::Damaged("it has other lines than its name says".to_owned()),
        })
    }
}

/// What an object has of the lines, where it begins as they do and has nothing else among them.
fn common(lines: &[u8], object: &Bytes) -> Option<PutLines> {
    let mut there = Decoder::new(&object[..]).ok()?;
    let (mut rest, mut piece) = (lines, vec![0; READ_BYTES]);
    loop {
        let read = there.read(&mut piece).ok()?;
        let (compared, is_end) = (read.min(rest.len()), read == 0);
        if piece[..compared] != rest[..compared] {
            return None;
        }
        rest = &rest[compared..];
        if rest.is_empty() {
            return Some(PutLines::All);
        }
        if is_end {
            let bytes = lines.len() - rest.len();
            return lines[..bytes].ends_with(b"\n").then_some(PutLines::Some(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(store: &Store, lines: &str) -> PutLines {
        store.put_lines("shop/dead-0/00000000000000000007", lines.as_bytes()).await.expect("it is put")
    }

    async fn lines(store: &Store) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for listed in store.objects.list("shop").await.expect("it is listed") {
            let name = format!("shop/{}", listed.segments.join("/"));
            let object = store.objects.get(&name).await.expect("it is read").expect("it is there");
            let text = zstd::decode_all(&object[..]).expect("it is whole");
            found.push((name, String::from_utf8(text).expect("it is text")));
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn an_object_that_is_there_is_never_replaced_and_what_it_lacks_is_told() {
        let store = Store::open("memory:///", &[]).expect("it opens");
        assert_eq!(put(&store, "7\n8\n").await, PutLines::All);
        assert_eq!(put(&store, "7\n8\n").await, PutLines::All);
        assert_eq!(put(&store, "7\n").await, PutLines::All, "somebody has written more");
        assert_eq!(put(&store, "7\n8\n9\n").await, PutLines::Some(4));
        assert_eq!(put(&store, "7\n8x\n").await, PutLines::All, "of a topic that was made anew");
        let found = lines(&store).await;
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        // A hyphen sorts before a dot.
        assert_eq!(texts, ["7\n8x\n", "7\n8\n"]);
        assert_eq!(found[1].0, "shop/dead-0/00000000000000000007.ndjson.zst");
    }

    #[tokio::test]
    async fn an_object_that_is_damaged_or_empty_stays_beside_what_is_whole() {
        for there in [&b""[..], b"no zstd", &zstd::encode_all(&b""[..], 1).expect("memory")] {
            let store = Store::open("memory:///", &[]).expect("it opens");
            let name = "shop/dead-0/00000000000000000007.ndjson.zst";
            store.objects.put_new(name, &Bytes::copy_from_slice(there)).await.expect("it is put");
            assert_eq!(put(&store, "7\n").await, PutLines::All);
            let listed = store.objects.list("shop").await.expect("it is listed");
            assert_eq!(listed.len(), 2, "{listed:?}");
        }
    }
}
