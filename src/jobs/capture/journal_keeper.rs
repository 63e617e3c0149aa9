//! Keeps the journal of a capture: it is stored after each segment, and mailed when it has changed, not more often than is asked for.
//!
//! Trouble with it is told and stops no capture.

use crate::alerts::delivery::DeliveryLimits;
use crate::alerts::mail::Mail;
use crate::alerts::message::{AlertEvent, AlertMessage};
use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::state_dir::StateDir;
use crate::base::state_dir::file::StateFile;
use crate::format::backup_id::BackupId;
use crate::format::changes::chain_document::CHAIN_FORMAT;
use crate::format::changes::journal::{Journal, JournalBase, JournalPlace, JournalSegment, MOST_SEGMENTS};
use crate::format::changes::segment::Segment;
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::lsn::Lsn;
use crate::jobs::capture::base_needs::{SharedNeeds, locked};
use crate::repository::Repository;
use crate::repository::chain_tail::ChainTail;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How often a newer base is looked for while segments are stored. One that the capture has taken itself is known at once.
const LOOK: Duration = Duration::from_secs(60);

/// Says where a journal goes.
#[derive(Clone)]
pub struct JournalPlan {
    /// Least time between two mails, and between two looks for a newer base while nothing is stored.
    pub every: Duration,
    /// `None`: it is not mailed.
    pub mail: Option<Mail>,
    /// How long a mail may take.
    pub limit: Duration,
    /// The host that pgbk runs on, and the server, for people.
    pub host: String,
    pub server: String,
    pub place: JournalPlace,
    pub state: StateDir,
}

/// The journal that was mailed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MailedJournal {
    mailed_at: Timestamp,
    base: BackupId,
    end: Lsn,
}

pub(crate) struct JournalKeeper<'a> {
    repository: &'a Repository,
    plan: &'a JournalPlan,
    /// Hold the newest base that the capture has taken itself.
    needs: &'a SharedNeeds,
    /// Reads the clock of this host.
    clock: fn() -> Timestamp,
    monitor: &'a dyn Monitor,
    tail: ChainTail,
    /// The segments of the chain, as far as a base may need them.
    segments: Vec<JournalSegment>,
    /// The newest base, and where the segments begin that it needs. `None`: there is none yet.
    base: Option<(JournalBase, Lsn)>,
    /// When a newer base was looked for last, and the base that the capture had taken by then.
    looked: Option<Instant>,
    taken: Option<BackupId>,
    /// The keys of the journals in the store.
    stored: Vec<String>,
    /// `None`: none of this generation has been mailed.
    mailed: Option<MailedJournal>,
    /// When a mail was tried last.
    tried: Option<Instant>,
    /// A journal that has not been mailed.
    unmailed: Option<(Journal, String)>,
}

impl<'a> JournalKeeper<'a> {
    /// Begins with the chain as the store has it, and with what is remembered of the last mail.
    pub fn begin(
        repository: &'a Repository,
        plan: &'a JournalPlan,
        (needs, clock): (&'a SharedNeeds, fn() -> Timestamp),
        tail: &ChainTail,
        monitor: &'a dyn Monitor,
    ) -> Result<JournalKeeper<'a>> {
        let listing = repository.newest_generation(&tail.generation.database)?;
        let starts: Vec<Lsn> = listing.iter().flat_map(|listing| listing.of_chain()).map(|(start, _)| start).collect();
        let ends = starts.iter().skip(1).copied().chain([tail.end]);
        let segments = starts.iter().zip(ends).map(|(start, end)| segment(*start, end)).collect();
        let others = listing.iter().flat_map(|listing| &listing.others).map(|listed| listed.key.clone());
        let stored = others.filter(|key| is_journal(key)).collect();
        let file = plan.state.mailed_journal(&state_name(tail));
        // Without it a journal is mailed once more.
        let mailed = file.read_json::<MailedJournal>().ok().map(|read| read.value);
        Ok(JournalKeeper {
            repository,
            plan,
            needs,
            clock,
            monitor,
            tail: tail.clone(),
            segments,
            base: None,
            looked: None,
            taken: None,
            stored,
            mailed,
            tried: None,
            unmailed: None,
        })
    }

    /// Takes a segment that was stored.
    pub fn add(&mut self, stored: &Segment) {
        (self.tail.end, self.tail.written_at) = (stored.end, Some(stored.written_at));
        self.segments.push(segment(stored.start, stored.end));
        self.look(self.plan.every.min(LOOK));
        self.write();
    }

    /// Does what is due: looks for a newer base, and mails.
    pub fn tick(&mut self) {
        if self.look(self.plan.every) {
            self.write();
        }
        if self.unmailed.is_some() && self.is_mail_due() {
            self.mail();
        }
    }

    /// Looks for the newest base, if the last look is so long ago or the capture has taken one since. Returns whether it is another one.
    fn look(&mut self, pause: Duration) -> bool {
        let taken = locked(self.needs).base().map(|base| base.id.clone());
        if taken == self.taken && self.looked.is_some_and(|looked| looked.elapsed() < pause) {
            return false;
        }
        (self.taken, self.looked) = (taken, Some(Instant::now()));
        match self.newest_base() {
            Ok(base) if base != self.base => {
                self.base = base;
                let from = self.base.as_ref().map_or(Lsn(0), |(_, from)| *from);
                self.segments.retain(|segment| segment.end > from);
                true
            }
            Ok(_) => false,
            Err(error) => {
                self.monitor.warn(&format!("the journal names no newer base, none could be looked for: {error:#}"));
                false
            }
        }
    }

    fn newest_base(&self) -> Result<Option<(JournalBase, Lsn)>> {
        let generation = &self.tail.generation;
        let newest = self.repository.newest_base(&generation.database, generation.id)?;
        Ok(newest.and_then(|manifest| {
            let alignment = manifest.changes.as_ref()?;
            let from = manifest.first_missing(alignment);
            let key_id = manifest.key.as_ref().map(|key| hex::encode(key.check()));
            let (id, after_lsn) = (manifest.id.clone(), alignment.after_lsn());
            Some((JournalBase { meta: id.meta_key(), id, after_lsn, key_id }, from))
        }))
    }

    /// Writes the journal into the store and the state directory. Nothing is written while there is no base.
    fn write(&mut self) {
        let Some((base, _)) = &self.base else { return };
        let generation = &self.tail.generation;
        let journal = Journal {
            pgbk_changes: CHAIN_FORMAT,
            database: generation.database.clone(),
            generation: generation.id,
            written_at: self.time(),
            store: self.plan.place.clone(),
            base: base.clone(),
            folder: generation.folder().prefix(),
            begin: self.tail.start,
            is_cut: self.tail.start != generation.start,
            segments: self.segments.iter().take(MOST_SEGMENTS).cloned().collect(),
            end: self.tail.end,
            pgbk: env!("CARGO_PKG_VERSION").to_owned(),
            key: None,
        };
        if let Err(error) = self.store(journal) {
            self.monitor.warn(&format!("the journal could not be written: {error:#}"));
        }
    }

    fn store(&mut self, journal: Journal) -> Result<()> {
        let bytes = self.repository.sealed_journal(&journal)?;
        let stored = self.repository.put_journal(&journal, &bytes, &self.stored)?;
        let plain = journal.key_name();
        if stored != plain && self.stored.iter().all(|before| *before == plain) {
            self.monitor.note("the store writes over no object: each journal has a name of its own");
        }
        self.stored = vec![stored];
        self.plan.state.journal(&state_name(&self.tail)).write(&bytes)?;
        let of_base = |mailed: &MailedJournal| mailed.base == journal.base.id && mailed.end == journal.end;
        // After a restart it is written again as it was.
        self.unmailed = match self.mailed.as_ref().is_some_and(of_base) {
            true => None,
            false => Some((journal, String::from_utf8_lossy(&bytes).into_owned())),
        };
        Ok(())
    }

    /// Returns whether the last mail, or the last try, is long enough ago. The clock may have been set back since.
    fn is_mail_due(&self) -> bool {
        let age = |mailed: &MailedJournal| (self.clock)().duration_since(mailed.mailed_at);
        let is_fresh = |age: SignedDuration| !age.is_negative() && age.unsigned_abs() < self.plan.every;
        let was_tried = self.tried.is_some_and(|tried| tried.elapsed() < self.plan.every);
        !was_tried && !self.mailed.as_ref().map(age).is_some_and(is_fresh)
    }

    /// Mails the last journal. What cannot be mailed is tried again when the next mail is due.
    fn mail(&mut self) {
        let Some(mail) = &self.plan.mail else { return };
        let Some((journal, text)) = &self.unmailed else { return };
        self.tried = Some(Instant::now());
        match mail.send(&self.message(journal, text), &[], &DeliveryLimits::once(self.plan.limit)) {
            Ok(delivery) => {
                for refusal in &delivery.refused {
                    self.monitor.warn(&format!("the journal is not mailed to {}", refusal.address));
                }
                let mailed_at = (self.clock)();
                let mailed = MailedJournal { mailed_at, base: journal.base.id.clone(), end: journal.end };
                self.note_mailed(mailed);
            }
            Err(failure) => self.monitor.warn(&format!("the journal could not be mailed: {}", failure.why)),
        }
    }

    fn note_mailed(&mut self, mailed: MailedJournal) {
        if let Err(error) = self.mailed_file().write_json(&mailed) {
            self.monitor.warn(&format!("that the journal was mailed cannot be noted: {error}"));
        }
        (self.mailed, self.unmailed) = (Some(mailed), None);
    }

    fn mailed_file(&self) -> StateFile {
        self.plan.state.mailed_journal(&state_name(&self.tail))
    }

    fn message(&self, journal: &Journal, text: &str) -> AlertMessage {
        let (database, end) = (journal.database.to_string(), journal.end);
        AlertMessage {
            state: AlertEvent::Notice,
            host: self.plan.host.clone(),
            server: self.plan.server.clone(),
            run: format!("journal-{}", end.sortable()),
            time: journal.written_at,
            error: String::new(),
            hint: String::new(),
            last_success: String::new(),
            subject: format!("journal of {database} on {}: up to {end}", self.plan.host),
            text: format!(
                "The changes of database {database} are stored up to {end}, behind base {}.\n\
                 Keep this mail. With it, the key and the bucket's credentials the database comes back:\n\n  \
                 pgbk restore --journal FILE --to {database}_restored\n\n\
                 FILE is this mail, or the lines from the first bracket to the last one.\n\n{text}",
                journal.base.id
            ),
            database,
        }
    }

    /// Returns when the last segment was ended, by the clock of the server, else when the generation began.
    fn time(&self) -> Timestamp {
        self.tail.written_at.unwrap_or(self.tail.generation.created_at)
    }
}

/// Returns the name of a generation's files in the state directory.
fn state_name(tail: &ChainTail) -> String {
    format!("{}-{}", tail.generation.database.series(), tail.generation.id)
}

fn is_journal(key: &str) -> bool {
    GenerationFolder::of_key(key).is_some_and(|(_, object)| matches!(object, GenerationObject::Journal(_)))
}

fn segment(start: Lsn, end: Lsn) -> JournalSegment {
    JournalSegment { meta: format!("{}.meta", start.sortable()), start, end }
}
