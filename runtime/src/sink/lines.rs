//! The lines of an item in a bulk body: what is to be done with which document, and the document.

use crate::record::{Document, Operation};

/// Appends the lines of a document.
pub(crate) fn write(document: &Document<'_>, body: &mut Vec<u8>) {
    action(document, body);
    match (document.operation, &document.options.script) {
        (Operation::Index | Operation::Create, _) => source(document.body, body),
        (Operation::Update, None) => {
            body.extend_from_slice(br#"{"doc_as_upsert":true,"doc":"#);
            source(document.body, body);
            body.push(b'}');
        }
        (Operation::Update, Some(script)) => {
            body.extend_from_slice(br#"{"scripted_upsert":true,"upsert":{},"script":{"source":""#);
            escape(body, script);
            body.extend_from_slice(br#"","params":{"document":"#);
            source(document.body, body);
            body.extend_from_slice(b"}}}");
        }
        (Operation::Delete, _) => return,
    }
    body.push(b'\n');
}

fn action(document: &Document<'_>, body: &mut Vec<u8>) {
    body.extend_from_slice(match document.operation {
        Operation::Index => br#"{"index":{"_index":""#.as_slice(),
        Operation::Create => br#"{"create":{"_index":""#,
        Operation::Update => br#"{"update":{"retry_on_conflict":3,"_index":""#,
        Operation::Delete => br#"{"delete":{"_index":""#,
    });
    escape(body, document.index);
    body.extend_from_slice(br#"","_id":""#);
    escape(body, document.id);
    body.push(b'"');
    if let Some(version) = document.version {
        body.extend_from_slice(br#","version":"#);
        decimal(body, version);
        body.extend_from_slice(br#","version_type":"external""#);
    }
    if let Some(routing) = document.routing {
        body.extend_from_slice(br#","routing":""#);
        escape(body, routing);
        body.push(b'"');
    }
    if let Some(pipeline) = document.options.pipeline.as_ref().filter(|_| document.operation != Operation::Delete) {
        body.extend_from_slice(br#","pipeline":""#);
        escape(body, pipeline);
        body.push(b'"');
    }
    body.extend_from_slice(b"}}\n");
}

fn source(document: &[u8], body: &mut Vec<u8>) {
    let start = body.len();
    body.extend_from_slice(document);
    // A line break can stand only between the tokens of valid JSON, and would end the item here.
    if memchr::memchr2(b'\n', b'\r', document).is_some() {
        body[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
}

/// Where an item goes, as it is written in its action line.
pub(crate) fn index_of(item: &[u8]) -> &[u8] {
    const NAME: &[u8] = br#""_index":""#;
    let name = memchr::memmem::find(item, NAME).and_then(|start| item.get(start + NAME.len()..)).unwrap_or_default();
    &name[..memchr::memchr(b'"', name).unwrap_or(name.len())]
}

/// What an item says of its document.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Apart {
    pub index: String,
    pub id: String,
    pub version: Option<u64>,
    /// What was sent of the document; empty where it is deleted.
    pub body: Vec<u8>,
}

/// Reads an item back, from its action line on.
pub(crate) fn take_apart(item: &[u8]) -> Option<Apart> {
    #[derive(serde::Deserialize)]
    enum Line {
        #[serde(rename = "index")]
        Index(Names),
        #[serde(rename = "create")]
        Create(Names),
        #[serde(rename = "update")]
        Update(Names),
        #[serde(rename = "delete")]
        Delete(Names),
    }
    #[derive(serde::Deserialize)]
    struct Names {
        _index: String,
        _id: String,
        version: Option<u64>,
    }
    let end = memchr::memchr(b'\n', item)?;
    let line: Line = serde_json::from_slice(item.get(..end)?).ok()?;
    let (Line::Index(names) | Line::Create(names) | Line::Update(names) | Line::Delete(names)) = line;
    let body = item.get(end + 1..)?;
    let body = body.strip_suffix(b"\n").unwrap_or(body).to_vec();
    Some(Apart { index: names._index, id: names._id, version: names.version, body })
}

fn escape(to: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        to.extend_from_slice(text.as_bytes());
        return;
    }
    for char in text.chars() {
        match char {
            '"' => to.extend_from_slice(b"\\\""),
            '\\' => to.extend_from_slice(b"\\\\"),
            '\0'..='\x1f' => to.extend_from_slice(format!("\\u{:04x}", char as u32).as_bytes()),
            other => to.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn decimal(to: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    to.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::WriteOptions;

    fn lines(operation: Operation, version: Option<u64>, options: &WriteOptions) -> String {
        let mut body = Vec::new();
        let routing = version.is_none().then_some("r\"1");
        write(&Document { operation, index: "i", id: "a", version, routing, body: b"{\"n\":\n1}", options }, &mut body);
        let Apart { index, id, version: read, .. } = take_apart(&body).expect("we wrote it");
        assert_eq!((index.as_str(), id.as_str(), read), ("i", "a", version));
        String::from_utf8(body).expect("text")
    }

    #[test]
    fn each_operation_has_its_lines() {
        let (plain, piped) =
            (WriteOptions::default(), WriteOptions { pipeline: Some("geo".to_owned()), ..WriteOptions::default() });
        let scripted = WriteOptions {
            script: Some("ctx._source.n += params.document['n']\n".to_owned()),
            ..WriteOptions::default()
        };
        let shown = [
            lines(Operation::Index, Some(7), &piped),
            lines(Operation::Create, None, &plain),
            lines(Operation::Update, None, &plain),
            lines(Operation::Update, None, &scripted),
            lines(Operation::Delete, None, &piped),
            lines(Operation::Delete, Some(8), &plain),
        ];
        expect_test::expect![[r#"
            {"index":{"_index":"i","_id":"a","version":7,"version_type":"external","pipeline":"geo"}}
            {"n": 1}
            {"create":{"_index":"i","_id":"a","routing":"r\"1"}}
            {"n": 1}
            {"update":{"retry_on_conflict":3,"_index":"i","_id":"a","routing":"r\"1"}}
            {"doc_as_upsert":true,"doc":{"n": 1}}
            {"update":{"retry_on_conflict":3,"_index":"i","_id":"a","routing":"r\"1"}}
            {"scripted_upsert":true,"upsert":{},"script":{"source":"ctx._source.n += params.document['n']\u000a","params":{"document":{"n": 1}}}}
            {"delete":{"_index":"i","_id":"a","routing":"r\"1"}}
            {"delete":{"_index":"i","_id":"a","version":8,"version_type":"external"}}
        "#]]
        .assert_eq(&shown.concat());
    }
}
