//! Limits of one pattern. The first three are Go's, the others are our own.

/// The highest count of a repetition, and the highest product of nested counts.
pub(super) const REPEAT_MAX: u64 = 1000;

/// The maximum height of the tree. A leaf has 1, and each group, repetition, sequence and
/// alternation adds 1.
pub(super) const HEIGHT_MAX: u32 = 1000;

/// The maximum size of the program in Go's instructions, with repetitions written out (128 MiB of
/// 40 bytes each).
pub(super) const SIZE_MAX: u64 = (128 << 20) / 40;

/// Like `HEIGHT_MAX`, but our own. Compiling a tree is recursive, and runs on threads with little
/// stack left.
pub(super) const NESTING_MAX: u32 = 250;

/// The maximum length of a pattern in bytes. A dashboard that lists ten thousand instances by name
/// stays below it.
pub(super) const PATTERN_BYTES_MAX: usize = 256 << 10;

/// The maximum number of ranges in all classes of one pattern. `\pL` has some 650.
pub(super) const CLASS_RANGES_MAX: usize = 200_000;

/// The maximum size of an automaton that matching needs, by its estimate in bytes. For many copies
/// of small patterns the estimate was at most a quarter too high.
pub(super) const NFA_BYTES_MAX: usize = 5 << 20;

/// The same for an automaton that only groups need. It is built when groups are used.
pub(super) const LAZY_BYTES_MAX: usize = 16 << 20;

/// The bytes of an automaton beside its states.
pub(super) const AUTOMATON_BYTES_MIN: usize = 16 << 10;

/// The size of each cache of the lazily built automaton: eight times the estimate of the states,
/// but within these bounds. States that do not fit are built again.
pub(super) const HYBRID_CACHE_BYTES_MIN: usize = 32 << 10;
pub(super) const HYBRID_CACHE_BYTES_MAX: usize = 2 << 20;

/// The maximum size of the one-pass automaton. A pattern that needs more is run by another engine.
pub(super) const ONEPASS_BYTES_MAX: usize = 1 << 20;
