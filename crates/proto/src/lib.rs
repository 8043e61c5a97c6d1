//! The bounded decoders and encoders of the Prometheus wire formats.
