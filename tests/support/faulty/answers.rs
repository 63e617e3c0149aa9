//! What a host answers when it does what it is asked.

use super::{Headers, Request, State};
use jiff::Timestamp;
use openssl::hash::{MessageDigest, hash};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What a host gives for ETags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Etags {
    #[default]
    Md5,
    /// As long as an MD5, and another: of a bucket that encrypts with a key service.
    Foreign,
    Absent,
    /// The MD5, marked weak by what stands before the host.
    Weak,
    /// Of an object that the host has put together of parts of its own.
    Parts,
}

impl Etags {
    fn header(self, md5: &str) -> Option<(&'static str, String)> {
        let other = hex::encode(self::md5(md5.as_bytes()));
        let value = match self {
            Etags::Md5 => format!("\"{md5}\""),
            Etags::Foreign => format!("\"{other}\""),
            Etags::Absent => return None,
            Etags::Weak => format!("W/\"{md5}\""),
            Etags::Parts => format!("\"{other}-7\""),
        };
        Some(("ETag", value))
    }
}

pub(super) struct Answer {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

pub(super) fn ok(headers: Headers, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status: 200, headers, body: body.into() }
}

pub(super) fn error(status: u16, code: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as planned</Message></Error>");
    Answer { status, headers: Vec::new(), body: body.into() }
}

pub(super) fn write_answer(out: &mut impl Write, call: &str, answer: &Answer, cut: Option<usize>) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} -\r\n", answer.status);
    if !answer.headers.iter().any(|(name, _)| *name == "Transfer-Encoding") {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    out.write_all(format!("{head}\r\n").as_bytes())?;
    if call != "head" {
        out.write_all(&answer.body[..cut.unwrap_or(answer.body.len())])?;
    }
    out.flush()
}

fn md5(bytes: &[u8]) -> Vec<u8> {
    hash(MessageDigest::md5(), bytes).expect("md5").to_vec()
}

pub(super) fn answer(state: &mut State, request: &Request) -> Answer {
    let upload = || {
        let id = request.query.split('&').find_map(|part| part.strip_prefix("uploadId="));
        id.unwrap_or_default().to_owned()
    };
    let is_taken = request.headers.contains_key("if-none-match") && state.objects.contains_key(&request.path);
    match request.call() {
        "put" if is_taken => error(412, "PreconditionFailed"),
        "complete" if is_taken && state.uploads.contains_key(&upload()) => error(412, "PreconditionFailed"),
        "put" => store(state, request, request.body.clone(), hex::encode(md5(&request.body))),
        "begin" => {
            state.begun += 1;
            let id = format!("upload{}", state.begun);
            state.uploads.insert(id.clone(), BTreeMap::new());
            state.begun_for.insert(id.clone(), (request.path.clone(), Timestamp::now()));
            let body =
                format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
            ok(Vec::new(), body)
        }
        "part" => {
            let number = request.query.split('&').find_map(|part| part.strip_prefix("partNumber="));
            let number = number.and_then(|number| number.parse().ok()).expect("part number");
            let Some(parts) = state.uploads.get_mut(&upload()) else { return error(404, "NoSuchUpload") };
            parts.insert(number, request.body.clone());
            ok(state.kind_of_etags.header(&hex::encode(md5(&request.body))).into_iter().collect(), "")
        }
        "complete" => {
            let Some(parts) = state.uploads.remove(&upload()) else { return error(404, "NoSuchUpload") };
            let sums: Vec<u8> = parts.values().flat_map(|part| md5(part)).collect();
            let etag = format!("{}-{}", hex::encode(md5(&sums)), parts.len());
            let body =
                format!("<CompleteMultipartUploadResult><ETag>\"{etag}\"</ETag></CompleteMultipartUploadResult>");
            let stored = store(state, request, parts.into_values().flatten().collect(), etag);
            Answer { body: body.into(), ..stored }
        }
        "abort" => match state.uploads.remove(&upload()) {
            Some(_) => Answer { status: 204, ..ok(Vec::new(), "") },
            None => error(404, "NoSuchUpload"),
        },
        "uploads" => ok(Vec::new(), uploads(state)),
        "list" => ok(Vec::new(), list(state, request)),
        "delete" => {
            state.objects.remove(&request.path);
            Answer { status: 204, ..ok(Vec::new(), "") }
        }
        "retain" => {
            state.retained.insert(request.path.clone(), request.body.clone());
            ok(Vec::new(), "")
        }
        "get-retention" => match state.retained.get(&request.path) {
            Some(document) => ok(Vec::new(), document.clone()),
            None => error(404, "NoSuchObjectLockConfiguration"),
        },
        "tag" => {
            state.tags.insert(request.path.clone(), request.body.clone());
            ok(Vec::new(), "")
        }
        "get-tags" => {
            let none = || b"<Tagging><TagSet></TagSet></Tagging>".to_vec();
            ok(Vec::new(), state.tags.get(&request.path).cloned().unwrap_or_else(none))
        }
        "head" | "get" => read(state, request),
        _ => error(501, "NotImplemented"),
    }
}

fn uploads(state: &State) -> String {
    let listed = state.uploads.keys().map(|id| {
        let (path, begun) = &state.begun_for[id];
        let key = path.strip_prefix("/bucket/").unwrap_or(path);
        format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{begun}</Initiated></Upload>")
    });
    format!("<ListMultipartUploadsResult>{}</ListMultipartUploadsResult>", listed.collect::<String>())
}

fn list(state: &State, request: &Request) -> String {
    let prefix = request.query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
    let prefix = format!("/bucket/{}", prefix.replace("%2F", "/").replace("%40", "@"));
    let found = state.objects.iter().filter(|(path, _)| path.starts_with(&prefix));
    let listed = found.map(|(path, bytes)| {
        let (key, size, now) = (path.trim_start_matches("/bucket/"), bytes.len(), Timestamp::now());
        let etag = state.etags.get(path).and_then(|etag| state.kind_of_etags.header(etag));
        let etag = etag.map_or_else(String::new, |(_, etag)| format!("<ETag>{}</ETag>", etag.replace('"', "&quot;")));
        format!("<Contents><Key>{key}</Key><LastModified>{now}</LastModified>{etag}<Size>{size}</Size></Contents>")
    });
    let listed = listed.collect::<String>();
    format!("<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>")
}

pub(super) fn store(state: &mut State, request: &Request, bytes: Vec<u8>, etag: String) -> Answer {
    state.objects.insert(request.path.clone(), bytes);
    let header = state.kind_of_etags.header(&etag);
    state.etags.insert(request.path.clone(), etag);
    ok(header.into_iter().collect(), "")
}

fn read(state: &State, request: &Request) -> Answer {
    let Some(bytes) = state.objects.get(&request.path) else { return error(404, "NoSuchKey") };
    let mut headers: Headers = state.kind_of_etags.header(&state.etags[&request.path]).into_iter().collect();
    let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = range else { return ok(headers, bytes.clone()) };
    let (first, last): (usize, usize) = (first.parse().expect("range"), last.parse().expect("range"));
    headers.push(("Content-Range", format!("bytes {first}-{last}/{}", bytes.len())));
    Answer { status: 206, ..ok(headers, &bytes[first..=last]) }
}
