//! What one pattern may cost. The first three are Go's, the rest are ours.

/// The most that a counted repetition may ask for, and the most that nested ones may multiply to.
pub(super) const REPEAT_MAX: u64 = 1000;

/// The height of the tree: a leaf has 1, and each group, repetition, sequence and alternation adds 1.
pub(super) const HEIGHT_MAX: u32 = 1000;

/// The size of the program, with repetitions written out, in Go's instructions (128 MiB of 40 bytes
/// each).
pub(super) const SIZE_MAX: u64 = (128 << 20) / 40;

/// As `HEIGHT_MAX`. What compiles a tree recurses, and is called from threads with little stack
/// left.
pub(super) const NESTING_MAX: u32 = 250;

/// The length of a pattern in bytes. A dashboard that lists ten thousand instances by name stays
/// below it.
pub(super) const PATTERN_BYTES_MAX: usize = 256 << 10;

/// Ranges gathered by all the classes of one pattern. `\pL` has some 650.
pub(super) const CLASS_RANGES_MAX: usize = 200_000;

/// The estimate of the bytes of an automaton that matching needs. On many copies of small patterns
/// it was at most a quarter too high.
pub(super) const NFA_BYTES_MAX: usize = 5 << 20;

/// The same for an automaton that only groups need, which is built when they are asked for.
pub(super) const LAZY_BYTES_MAX: usize = 16 << 20;

/// What an automaton takes beside its states.
pub(super) const AUTOMATON_BYTES_MIN: usize = 16 << 10;

/// Bytes that the lazily built automaton may hold in each cache; what does not fit is built again.
/// It is eight times the estimate of the states that it is made of, between these.
pub(super) const HYBRID_CACHE_BYTES_MIN: usize = 32 << 10;
pub(super) const HYBRID_CACHE_BYTES_MAX: usize = 2 << 20;

/// Bytes of the one-pass automaton; a pattern that needs more is run by another engine.
pub(super) const ONEPASS_BYTES_MAX: usize = 1 << 20;
