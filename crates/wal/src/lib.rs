//! The write-ahead log: segment format, writer, reader, trim.
