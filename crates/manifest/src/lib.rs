//! Which blocks and WAL spans are live: edits, snapshots, epochs, invariants.
