//! One segment of a chain, and its payload.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::shown::many;
use crate::format::changes::delta_reader::DeltaReader;
use crate::format::changes::delta_writer::LONGEST_LINE;
use crate::format::changes::segment::Segment;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::lsn::Lsn;
use crate::pipeline::Stage;
use crate::pipeline::checksum::{ChunkMac, StoredChecksum};
use crate::pipeline::pack::unpack_delta;
use crate::pipeline::verified_reader::VerifiedReader;
use crate::repository::Repository;
use crate::repository::payload::payload_object::pinned_or_newest;
use crate::store::Object;
use std::io::{self, BufReader, Read};

/// A segment whose document is authentic.
pub struct ChainLink {
    pub segment: Segment,
    /// The seal of its document, by which the next segment names it.
    pub seal: [u8; 32],
    /// The keys of its payload. `None`: it has none.
    pub derived_keys: Option<DerivedKeys>,
}

/// Reads the records of a segment. Every byte is checked before it is decrypted.
pub type LinkReader = DeltaReader<BufReader<Box<dyn Read + Send>>>;

impl Repository {
    /// Opens the payload of a segment. One that is missing, or of another size, is damage.
    pub fn delta_object(&self, link: &ChainLink) -> Result<Box<dyn Object>> {
        let segment = &link.segment;
        let (key, stated) = (&segment.object, segment.stored.bytes);
        let opened = pinned_or_newest(self.store.as_ref(), key, segment.version_id.as_deref());
        let object = opened.map_err(|error| match kind(&error) {
            Kind::NotFound => {
                let message = format!("the payload \"{key}\" of the changes from {} is missing", segment.start);
                Fault::damaged(message).hint(before(segment)).into()
            }
            _ => error,
        })?;
        let found = object.info().bytes;
        if found != stated {
            let message = format!("\"{key}\" has {}; its .meta states {stated}", many(found, "byte"));
            return Err(Fault::damaged(message).hint(before(segment)).into());
        }
        Ok(object)
    }

    /// Reads a payload to its end, and fails unless each chunk has its tag. Nothing of it is decrypted.
    pub fn check_stored(&self, link: &ChainLink) -> Result<()> {
        let segment = &link.segment;
        let tagger = || ChunkMac::of(link.derived_keys.as_ref());
        let mut reader =
            VerifiedReader::new(self.delta_object(link)?, segment.chunks.clone(), tagger(), &segment.object)?;
        let mut sum = StoredChecksum::new(io::sink(), tagger(), segment.chunks.size);
        io::copy(&mut reader, &mut sum)?;
        let (_, found, _) = sum.finish()?;
        match found == segment.stored {
            true => Ok(()),
            false => {
                Err(Fault::damaged(format!("\"{}\" does not have the BLAKE2b that its .meta states", segment.object))
                    .hint(before(segment))
                    .into())
            }
        }
    }

    /// Returns a reader of the records of a segment.
    pub fn delta(&self, link: &ChainLink) -> Result<LinkReader> {
        let plain = unpack_delta(self.delta_object(link)?, &link.segment, link.derived_keys.as_ref())?;
        let reader = DeltaReader::begin(BufReader::with_capacity(256 << 10, plain), LONGEST_LINE)?;
        match reader.head().start == link.segment.start {
            true => Ok(reader),
            false => Err(link.differs("starts elsewhere").into()),
        }
    }
}

impl ChainLink {
    /// Fails unless a reader that came to the end of the segment has read what its document states. `end` is where it ended.
    pub fn compare(&self, reader: &LinkReader, end: Lsn) -> Result<()> {
        match () {
            () if end != self.segment.end => Err(self.differs("ends elsewhere").into()),
            () if reader.totals() != self.segment.totals() => Err(self.differs("has other changes").into()),
            () => Ok(()),
        }
    }

    fn differs(&self, how: &str) -> Fault {
        let object = &self.segment.object;
        Fault::damaged(format!("\"{object}\" {how} than its .meta states")).hint(before(&self.segment))
    }
}

/// Says what is left of the chain before a segment that cannot be used.
fn before(segment: &Segment) -> String {
    format!("what came before it can be restored: --at {}", segment.start)
}
