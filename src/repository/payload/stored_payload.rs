//! The payload that was just stored, as the store confirmed it.

use crate::format::manifest::bounded_members::is_word;
use crate::format::manifest::further_object::FurtherObject;
use crate::format::manifest::payload_objects::object_key;
use crate::store::{LockStatus, PutResult};

pub(crate) struct StoredPayload {
    /// Key and receipt of each object, in order; at least one.
    pub objects: Vec<(String, PutResult)>,
}

impl StoredPayload {
    /// Takes the receipts of the objects of a payload with this key.
    pub fn of(key: &str, receipts: Vec<PutResult>) -> StoredPayload {
        StoredPayload { objects: (1..).map(|number| object_key(key, number)).zip(receipts).collect() }
    }

    pub fn keys(&self) -> Vec<String> {
        self.objects.iter().map(|(key, _)| key.clone()).collect()
    }

    pub fn locks(&self) -> Vec<LockStatus> {
        self.objects.iter().map(|(_, receipt)| receipt.held.clone()).collect()
    }

    /// Returns the version of the first object. `None`: the store keeps none, or its name is not one that a document may hold.
    pub fn version(&self) -> Option<String> {
        self.objects.first().and_then(|(_, receipt)| version(receipt))
    }

    /// Returns what the document states of the objects behind the first one.
    pub fn further(&self) -> Vec<FurtherObject> {
        let further =
            |(_, receipt): &(String, PutResult)| FurtherObject { bytes: receipt.bytes, version_id: version(receipt) };
        self.objects.iter().skip(1).map(further).collect()
    }
}

fn version(receipt: &PutResult) -> Option<String> {
    receipt.version.clone().filter(|version| is_word(version))
}
