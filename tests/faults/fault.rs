//! What can go wrong with one request.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this status and code.
    Rejected(u16, &'static str),
    /// "200 OK", and nothing is done.
    Ignored,
    /// A web page in the answer's place.
    Page,
    /// A success by its status, a failure by its text.
    ErrorIn200,
    /// Done, and the connection closed instead of an answer.
    DoneButLost,
    /// Done, and a failure for an answer.
    DoneButRejected,
    /// Done, and no answer until the deadline.
    DoneButHeld,
    /// Neither done nor answered.
    Held,
    /// Done after a while.
    Slow,
    /// The connection is reset before anything is done.
    Reset,
    ResetAfterAnswerBegan,
    /// One bit of what is sent arrives as another.
    SentDamaged,
    /// Half of what is sent arrives.
    SentCut,
    /// One bit of the answer arrives as another.
    AnswerDamaged,
    /// Half of the answer arrives.
    AnswerCut,
}

pub const ALL: [Fault; 22] = [
    Fault::Rejected(503, "SlowDown"),
    Fault::DoneButLost,
    Fault::Held,
    Fault::Slow,
    Fault::SentDamaged,
    Fault::SentCut,
    Fault::Reset,
    Fault::Rejected(403, "AccessDenied"),
    Fault::Page,
    Fault::Ignored,
    Fault::ErrorIn200,
    Fault::DoneButRejected,
    Fault::DoneButHeld,
    Fault::ResetAfterAnswerBegan,
    Fault::AnswerDamaged,
    Fault::AnswerCut,
    Fault::Rejected(404, "NoSuchKey"),
    Fault::Rejected(412, "PreconditionFailed"),
    Fault::Rejected(409, "ConditionalRequestConflict"),
    Fault::Rejected(400, "ExpiredToken"),
    Fault::Rejected(403, "RequestTimeTooSkewed"),
    Fault::Rejected(301, "PermanentRedirect"),
];
