//! The ingester: limits, head, WAL commit, flush, replay.
