//! What a caller should do about an error.

/// What the caller of a failed operation should do next. The edge maps a kind to a status once;
/// nothing inside knows HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request can never succeed as it is: fix it.
    Invalid,
    /// The request itself is over a limit, so it never passes: ask for less at once.
    TooMuch,
    /// A limit that passes with time: slow down and try again.
    Limited,
    /// The request is well formed, but its evaluation failed: ask something else.
    Execution,
    /// Something that the request needs cannot be reached now: try again.
    Unavailable,
    /// Another process took over: stop.
    Fenced,
    /// Stored bytes are not what was written: call a person.
    Corrupt,
    /// A bug of this program.
    Internal,
}
