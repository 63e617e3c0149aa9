//! Normalizes the times in listings, which hosts write in several ways: without a zone, with a blank in the middle,
//! or as in a mail. The SDK refuses a whole listing for one time that it cannot read, and no time is that important.

use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::result::ConnectorError;
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use memchr::memmem::Finder;
use std::borrow::Cow;

/// The elements that hold a time, of objects and of uploads.
const TIMES: [&str; 2] = ["LastModified", "Initiated"];

/// Returns whether a listing is asked for: nothing else has a prefix.
pub(crate) fn is_listing(request: &HttpRequest) -> bool {
    let query = request.uri().split_once('?').map_or("", |(_, query)| query);
    request.method() == "GET" && query.split('&').any(|pair| pair.split('=').next() == Some("prefix"))
}

/// Returns the time in the form that every reader knows. None: it is no time.
pub(crate) fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    let by_mail = |text: &str| rfc2822::parse(text).ok().map(|time| time.timestamp());
    // Without a zone it is UTC, as S3 writes times.
    let bare = |text: &str| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp());
    let time: Timestamp = text
        .parse()
        .ok()
        .or_else(|| by_mail(text))
        .or_else(|| by_mail(&format!("{text} GMT")))
        .or_else(|| bare(text))?;
    Some(time.to_string())
}

/// Returns a listing with its times in that form. What is no time is left out.
fn with_plain_times(text: &str) -> Cow<'_, str> {
    TIMES.iter().fold(Cow::Borrowed(text), |text, name| match with_plain(name, &text) {
        Some(changed) => Cow::Owned(changed),
        None => text,
    })
}

/// Does the same for the elements of one name. None: nothing had to be changed, as with most hosts. It reads each
/// byte once, because a page has a thousand times.
fn with_plain(name: &str, text: &str) -> Option<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (begin, end) = (Finder::new(&open), Finder::new(&close));
    let mut written: Option<String> = None;
    // Up to where the text is written, and looked at.
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = begin.find(&text.as_bytes()[at..]) {
        let start = at + found + open.len();
        let Some(length) = end.find(&text.as_bytes()[start..]) else { break };
        at = start + length + close.len();
        let time = &text[start..start + length];
        if time.parse::<Timestamp>().is_ok() {
            continue;
        }
        let to = written.get_or_insert_default();
        to.push_str(&text[copied..start - open.len()]);
        if let Some(time) = plain(time) {
            to.push_str(&format!("{open}{time}{close}"));
        }
        copied = at;
    }
    written.map(|written| written + &text[copied..])
}

/// Returns the answer to a listing with its times in that form. An answer that breaks off is an error, like no answer at all.
pub(crate) async fn cured(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    *answer.body_mut() = match Limited::new(answer.take_body(), LONGEST).collect().await.map(Collected::to_bytes) {
        Ok(whole) => {
            let text = std::str::from_utf8(&whole).map(|text| with_plain_times(text).into_owned().into_bytes());
            let bytes = text.unwrap_or_else(|_| whole.to_vec());
            // The SDK compares.
            if answer.headers().contains_key("content-length") {
                answer.headers_mut().insert("content-length", bytes.len().to_string());
            }
            SdkBody::from(bytes)
        }
        // Whoever reads it is told so, as of any other answer.
        Err(error) if error.is::<LengthLimitError>() => SdkBody::from_body_1_x(Limited::new(SdkBody::from("long"), 0)),
        Err(error) => return Err(ConnectorError::io(error)),
    };
    Ok(answer)
}

/// Longest answer that is read, in bytes. The longest page of a listing, a thousand keys of 1,024 characters each
/// written as six, is less than half of it.
pub(crate) const LONGEST: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_however_a_host_writes_it() {
        for text in [
            "2026-08-22T03:15:00Z",
            "2026-08-22T03:15:00.000Z",
            "2026-08-22T05:15:00+02:00",
            "2026-08-22T03:15:00",
            "2026-08-22 03:15:00",
            " 2026-08-22T03:15:00 ",
            "Sat, 22 Aug 2026 03:15:00 GMT",
            "Sat, 22 Aug 2026 03:15:00",
        ] {
            assert_eq!(plain(text).as_deref(), Some("2026-08-22T03:15:00Z"), "{text}");
        }
        for text in ["", "never", "1787368500", "<b>"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_but_the_times_of_a_listing_is_changed() {
        let listing = "<a><Key>x</Key><LastModified>2026-08-22 03:15:00</LastModified><Key>&lt;LastModified&gt;</Key>\
            <LastModified>soon</LastModified><Initiated>2026-08-22T03:15:00</Initiated><Size>1</Size></a>";
        assert_eq!(
            with_plain_times(listing),
            "<a><Key>x</Key><LastModified>2026-08-22T03:15:00Z</LastModified><Key>&lt;LastModified&gt;</Key>\
             <Initiated>2026-08-22T03:15:00Z</Initiated><Size>1</Size></a>"
        );
        for odd in ["", "<LastModified>", "<LastModified>2026", "</LastModified><LastModified/>"] {
            assert_eq!(with_plain_times(odd), odd);
        }
    }
}
