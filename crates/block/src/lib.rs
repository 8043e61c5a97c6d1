//! One block: Parquet schemas, meta, writer, reader, pruning.
