//! The cells of the matrix: each says one of two things of eight settings, and stands in one of three buckets.

use std::fmt;

/// How many cells there are.
pub const WHOLE: usize = 3 << SWITCHES;
const SWITCHES: usize = 8;
/// Eight switches and the bucket.
const AXES: usize = SWITCHES + 1;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// `PG_DUMP_USER_ARGS`
    pub user_args: bool,
    /// Backup and restore run on a terminal, and the restore is told by its prompts what to do.
    pub interactive: bool,
    pub encrypted: bool,
    /// `DB_BACKUP_VERIFY`
    pub validated: bool,
    pub compressed: bool,
    /// `AUTO_LIFECYCLE_POLICY_TAGS`
    pub tags: bool,
    /// `S3_MD5_REQUIRED`
    pub md5: bool,
    /// `S3_REQUEST_HEADERS`
    pub headers: bool,
    pub bucket: Bucket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    Plain,
    Versioned,
    /// With Object Lock, and so with versions.
    Locking,
}

pub const BUCKETS: [Bucket; 3] = [Bucket::Plain, Bucket::Versioned, Bucket::Locking];

impl Bucket {
    pub fn name(self) -> &'static str {
        match self {
            Bucket::Plain => "plain",
            Bucket::Versioned => "versioned",
            Bucket::Locking => "versioned and locking",
        }
    }
}

impl Cell {
    /// The headers of the user lock, where there is something to lock with.
    pub fn locks(&self) -> bool {
        self.headers && self.bucket == Bucket::Locking
    }

    fn at(number: usize) -> Cell {
        let on = |axis: usize| number >> axis & 1 == 1;
        Cell {
            user_args: on(0),
            interactive: on(1),
            encrypted: on(2),
            validated: on(3),
            compressed: on(4),
            tags: on(5),
            md5: on(6),
            headers: on(7),
            bucket: BUCKETS[number >> SWITCHES],
        }
    }

    fn switches(&self) -> [(&'static str, bool); SWITCHES] {
        [
            ("user args", self.user_args),
            ("interactive", self.interactive),
            ("encrypted", self.encrypted),
            ("validated", self.validated),
            ("compressed", self.compressed),
            ("tags", self.tags),
            ("MD5", self.md5),
            ("headers", self.headers),
        ]
    }

    fn values(&self) -> [usize; AXES] {
        let mut values = [self.bucket as usize; AXES];
        for (value, (_, on)) in values.iter_mut().zip(self.switches()) {
            *value = usize::from(on);
        }
        values
    }

    /// Every two axes with the values that they have here.
    pub fn pairs(&self) -> Vec<[(usize, usize); 2]> {
        let values = self.values();
        let of = |first: usize| (first + 1..AXES).map(move |second| [(first, values[first]), (second, values[second])]);
        (0..AXES).flat_map(of).collect()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bucket", self.bucket.name())?;
        self.switches().iter().try_for_each(|(name, on)| write!(f, ", {}{name}", if *on { "" } else { "no " }))
    }
}

/// Every cell once.
pub fn all() -> Vec<Cell> {
    (0..WHOLE).map(Cell::at).collect()
}

/// A few cells that hold every two values of different axes that go together, always the same: the one that adds the most, again and again.
pub fn sample() -> Vec<Cell> {
    let mut left: Vec<(Cell, Vec<_>)> = all().into_iter().map(|cell| (cell, cell.pairs())).collect();
    let mut sample = Vec::new();
    loop {
        // The first of those that add as many.
        let best = left.iter().rev().max_by_key(|(_, pairs)| pairs.len());
        let Some((cell, covered)) = best.filter(|(_, pairs)| !pairs.is_empty()).cloned() else { return sample };
        sample.push(cell);
        left.iter_mut().for_each(|(_, pairs)| pairs.retain(|pair| !covered.contains(pair)));
    }
}
