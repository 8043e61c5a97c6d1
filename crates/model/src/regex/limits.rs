//! What one pattern may cost. The first three are Go's, the rest are ours.

/// The most that a counted repetition may ask for, and the most that nested ones may multiply to.
pub(super) const REPEAT_MAX: u64 = 1000;

/// The height of the tree: a leaf has 1, and each group, repetition, sequence and alternation adds 1.
pub(super) const HEIGHT_MAX: u32 = 1000;

/// The size of the program, with repetitions written out, in Go's instructions (128 MiB of 40 bytes each).
pub(super) const SIZE_MAX: u64 = (128 << 20) / 40;

/// As `HEIGHT_MAX`. What compiles a tree recurses, and is called from threads with little stack left.
pub(super) const NESTING_MAX: u32 = 250;

/// The length of a pattern in bytes. A dashboard that lists ten thousand instances by name stays below it.
pub(super) const PATTERN_BYTES_MAX: usize = 256 << 10;

/// Ranges gathered by all the classes of one pattern. `\pL` has some 650.
pub(super) const CLASS_RANGES_MAX: usize = 200_000;

/// Bytes of the compiled automaton.
pub(super) const NFA_BYTES_MAX: usize = 4 << 20;

/// Up to this estimate in bytes an automaton that matching does not need is built when groups are asked for, and without
/// a limit.
pub(super) const LAZY_BYTES_MAX: u64 = 16 << 20;

/// Bytes that the lazily built automaton may hold in each cache; what does not fit is built again.
pub(super) const HYBRID_CACHE_BYTES: usize = 2 << 20;

/// Bytes of the one-pass automaton; a pattern that needs more is run by another engine.
pub(super) const ONEPASS_BYTES_MAX: usize = 1 << 20;
