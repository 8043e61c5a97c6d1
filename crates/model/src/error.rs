//! What a caller does next about an error.

/// The next step that an error asks of its caller. The edge maps a kind to a status once; nothing
/// inside knows HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request can never succeed as it is: fix it.
    Invalid,
    /// The request is over a limit, and will be as it is: ask for less at once.
    TooMuch,
    /// A limit that passes with time: slow down and try again.
    Limited,
    /// The request is well formed and its evaluation failed: change the question.
    Execution,
    /// Something that is needed is out of reach for now: try again.
    Unavailable,
    /// Another process took over: stop.
    Fenced,
    /// Stored bytes are not what was written: call a person.
    Corrupt,
    /// A fault of ours.
    Internal,
}
